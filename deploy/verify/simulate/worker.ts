/** Runs one history in a process of its own, because a simulation replaces the time and the network of its process. */
import type { Episode } from './history.ts';
import { type RunResult, runHistory } from './run.ts';
import { tellStories } from './story.ts';

/** What the parent sends. */
export interface Order {
  seed: number;
  episodes: readonly Episode[];
  /** Whether a problem's story is wanted. */
  isTold: boolean;
}

/** What the worker answers. */
export type Answer = Omit<RunResult, 'faults'> & { faults: [string, number][] };

// `exit` ends the redis-server of the run.
for (const end of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(end, () => process.exit(1));

process.once('message', (message) => {
  const { seed, episodes, isTold } = message as Order;
  runHistory({ seed, episodes, ...(isTold && { tell: tellStories }) }).then(
    (result) => {
      const answer: Answer = { ...result, faults: [...result.faults] };
      process.send?.(answer, () => process.exit(0));
    },
    (error: unknown) => {
      console.error(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
      process.exit(1);
    },
  );
});
