/** The story of one droplet as it is shown everywhere: newest first, crash loops and what a hold keeps back in one line each. Pure. */

import { storyOf } from '../explain.ts';
import type { Fact } from '../facts.ts';
import type { StoryOptions } from '../sentences/line.ts';
import { foldCrashLoops } from './crash-loops.ts';
import { groupHeld, type ShownRow } from './held-rows.ts';

/**
 * @param facts oldest first
 * @param liveVersion the live version at the end of the story, if there is one
 * @param isWhole false: lines were selected by their kind, so each is shown
 */
export function shownStory(
  facts: readonly Fact[],
  liveVersion: string | undefined,
  options: StoryOptions,
  isWhole = true,
): ShownRow[] {
  const lines = storyOf(facts, liveVersion, options);
  const rows = isWhole
    ? groupHeld(foldCrashLoops(lines))
    : lines.map(({ loop: _, held, ...line }) => ({ ...line, ...(held && { hold: held.hold }) }));
  return rows.reverse();
}
