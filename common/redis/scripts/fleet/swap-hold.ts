import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

export interface HoldSwap {
  hold: 'mass_loss';
  /** State that was evaluated (JSON); '' if there is none. */
  expected: string;
  /** Next state (JSON); the same if nothing changed. */
  next: string;
  /** The hold was released by an operator with this field, which is removed. */
  releasedBy?: string | undefined;
  /** Since when the hold has been evaluated without a gap, and until when; and when before the last gap (ms). */
  evaluated: { sinceMs: number; untilMs: number; beforeGapMs?: number };
}

/** Stores the next state of a hold. @returns conflict if another process changed the state first */
export async function swapHold(
  { scripts, keys }: ScriptAccess,
  { hold, expected, next, releasedBy = '', evaluated }: HoldSwap,
): Promise<'swapped' | 'conflict'> {
  const { sinceMs, untilMs, beforeGapMs } = evaluated;
  const times = [sinceMs, untilMs, ...(beforeGapMs === undefined ? [] : [beforeGapMs])].join(' ');
  const reply = await scripts.run('swap_hold', [keys.holds], [hold, expected, next, releasedBy, times]);
  return decodeCode(reply, 'swapped', 'conflict');
}
