import { expect, test } from 'vitest';
import type { Episode, Item } from './history.ts';
import { Pool } from './pool.ts';

/** Needs `npm run build`: each run has a process of its own, with the compiled code. */
const pool = new Pool(1, new AbortController().signal);
const fault = (name: string, atMs: number): Item => ({ atMs, what: 'fault', name, seed: 5 });
const event = (name: string, atMs: number): Item => ({ atMs, what: 'event', name, seed: 5 });

test('a history ends without a problem, and runs the same way again, to the last call', async () => {
  const episodes: Episode[] = [
    [
      event('instance crashed', 100),
      fault('process killed at a call', 200),
      event('DEA died', 500),
      fault('call delayed', 600),
      event('app scaled', 1_500),
      fault('NATS connection reset', 1_600),
    ],
  ];
  const first = await pool.run({ seed: 3, episodes, isTold: false });
  expect(first).toMatchObject({ problems: [], episodes: 1 });
  expect(first.starts).toBeGreaterThan(0);
  expect(await pool.run({ seed: 3, episodes, isTold: false })).toEqual(first);
}, 600_000);
