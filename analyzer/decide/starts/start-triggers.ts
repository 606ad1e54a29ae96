/** The exits that trigger a start, by the index of their slot. */
import type { Exit } from '../../../common/model/droplet.ts';

export interface StartTriggers {
  crashed: Set<number>;
  evacuated: Set<number>;
  /** Slots with an exit that is not processed before the pass that follows a `droplet.updated`. */
  awaitingPass: Set<number>;
  /** Number of the last processed exit. */
  handledExits: number;
}

/** Adds the trigger of an exit: a new one, or a known one that turns out to end a pending start. */
export function addTrigger(exit: Exit, triggers: StartTriggers): void {
  if (exit.reason === 'CRASHED') triggers.crashed.add(exit.index);
  else if (exit.reason !== 'STOPPED') triggers.evacuated.add(exit.index);
}
