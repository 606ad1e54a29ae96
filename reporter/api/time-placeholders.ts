import type { StoryOptions } from '../../common/explain/line.ts';
import type { Times } from '../../common/explain/wording.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';

/** Times as placeholders, which the browser replaces by times of its own time zone. */
export const PLACEHOLDER_TIMES: Times = { at: (ms) => `⟦${ms}⟧` };

export function placeholderOptions({ flappingTimeoutMs }: PolicySettings): StoryOptions {
  return { times: PLACEHOLDER_TIMES, flappingTimeoutMs };
}
