/** What news ask for. */
import type { Exit } from '../../common/model/droplet.ts';

/** What of it asks for a start, by index. */
export interface StartTriggers {
  crashed: Set<number>;
  evacuated: Set<number>;
  /** Slots with an exit that waits for the pass after a `droplet.updated`. */
  waiting: Set<number>;
  handledExits: number;
}

/** What an exit asks for: also used for one that was known already, when it turns out to end a start. */
export function addTrigger(exit: Exit, events: StartTriggers): void {
  if (exit.reason === 'CRASHED') events.crashed.add(exit.index);
  else if (exit.reason !== 'STOPPED') events.evacuated.add(exit.index);
}
