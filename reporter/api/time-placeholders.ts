import type { StoryOptions } from '../../common/explain/sentences/line.ts';
import type { Times } from '../../common/explain/wording.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';

/**
 * Times as placeholders, which the browser replaces by times of its own time zone. They stand between control characters,
 * because an id of a DEA or an app has none.
 */
export const PLACEHOLDER_TIMES: Times = { at: (ms) => `\u0001${ms}\u0001` };

export function placeholderOptions({ flappingTimeoutMs }: PolicySettings): StoryOptions {
  return { times: PLACEHOLDER_TIMES, flappingTimeoutMs };
}
