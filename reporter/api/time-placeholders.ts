import type { StoryOptions } from '../../common/explain/explain.ts';
import type { Times } from '../../common/explain/wording.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';

/** Times as marks, which each reader's browser says in the own time zone. */
export const MARKED: Times = { at: (ms) => `⟦${ms}⟧` };

export function storyWithPlaceholders({ flappingTimeoutMs }: PolicySettings): StoryOptions {
  return { times: MARKED, flappingTimeoutMs };
}
