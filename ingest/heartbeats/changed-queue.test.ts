import { describe, expect, test } from 'vitest';
import { ChangedHeartbeatQueue } from './changed-queue.ts';

/** A store whose calls end when the test calls `end`. */
function manualStore() {
  const stored: string[] = [];
  const ends: (() => void)[] = [];
  return {
    stored,
    store: (dea: string, { bytes }: { bytes: Uint8Array }) => {
      stored.push(`${dea} ${bytes[0]}`);
      return new Promise<void>((resolve) => ends.push(resolve));
    },
    /** Ends the calls in progress, and waits until the next ones have begun. */
    end: async () => {
      for (const end of ends.splice(0)) end();
      await new Promise(setImmediate);
    },
  };
}

const SIZE = 100;
let nowMs = 1_000;
const heartbeat = (first = 1) => {
  nowMs += 1;
  return {
    bytes: new Uint8Array(SIZE).fill(first),
    digest: `${first}`,
    receivedMs: nowMs,
    earliestMs: nowMs,
    backlogSinceMs: nowMs,
  };
};
const names = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `dea-${from + n}`);

describe('waiting changed heartbeats', () => {
  test('are stored in the order in which their DEAs arrived, the newest of each DEA', async () => {
    const { store, stored, end } = manualStore();
    const queue = new ChangedHeartbeatQueue(store);
    for (const dea of names(0, 35)) queue.enqueue(dea, heartbeat(1));
    queue.enqueue('dea-34', heartbeat(2));
    queue.enqueue('dea-32', heartbeat(2));
    await end();
    expect(stored.slice(32).sort()).toEqual(['dea-32 2', 'dea-33 1', 'dea-34 2']);
  });

  test('of one DEA are never stored two at a time', async () => {
    const { store, stored, end } = manualStore();
    const queue = new ChangedHeartbeatQueue(store);
    queue.enqueue('dea-0', heartbeat(1));
    queue.enqueue('dea-0', heartbeat(2));
    expect(stored).toEqual(['dea-0 1']);
    expect(queue.has('dea-0')).toBe(true);
    await end();
    expect(stored).toEqual(['dea-0 1', 'dea-0 2']);
    expect(queue.has('dea-0')).toBe(false);
  });

  describe('of one DEA, some of which list only a new instance', () => {
    /** A heartbeat that lists this number of instances. */
    const listing = (instances: number) => {
      const text = `#${Array.from({ length: instances }, (_, n) => `"instance":"${n}"`).join()}`;
      const bytes = Buffer.from(text);
      bytes[0] = instances;
      return { ...heartbeat(), bytes };
    };
    /** What is stored of one DEA when these arrive while its first heartbeat is being stored. */
    async function storedOf(...instances: number[]): Promise<string[]> {
      const { store, stored, end } = manualStore();
      const queue = new ChangedHeartbeatQueue(store);
      queue.enqueue('dea', listing(9));
      for (const count of instances) queue.enqueue('dea', listing(count));
      for (let at = 0; at < 10; at++) await end();
      expect(queue.has('dea')).toBe(false);
      return stored.slice(1).map((text) => text.slice('dea '.length));
    }

    test.each<[string, number[], string[]]>([
      ['a fuller one that waits is stored before', [5, 1], ['5', '1']],
      ['one that lists as much is replaced', [5, 1, 1], ['5', '1']],
      ['one that lists more replaces all', [5, 1, 5], ['5']],
      ['one between them replaces the smaller', [5, 1, 3], ['5', '3']],
      ['of many the fullest and the newest stay', [6, 5, 4, 3, 2, 1], ['6', '2', '1']],
    ])('%s', async (_, instances, expected) => {
      expect(await storedOf(...instances)).toEqual(expected);
    });

    test('a store that must be repeated goes on with the one that failed', async () => {
      const stored: string[] = [];
      const results = ['done', 'again', 'done', 'done', 'done'];
      const queue = new ChangedHeartbeatQueue(async (_, { bytes }) => {
        stored.push(`${bytes[0]}`);
        return results.shift();
      });
      for (const count of [9, 5, 1]) queue.enqueue('dea', listing(count));
      await new Promise(setImmediate);
      await queue.idle();
      expect(stored).toEqual(['9', '5', '5', '1']);
    });
  });

  test('that exceed the memory limit keep only a ticket, and are stored if one arrives near their turn', async () => {
    const { store, stored, end } = manualStore();
    // 32 are being stored; 40 more are kept.
    const queue = new ChangedHeartbeatQueue(store, 40 * SIZE);
    const all = names(0, 100);
    for (const dea of all) queue.enqueue(dea, heartbeat());
    const oldest = nowMs - 99;
    expect(queue.backlogSinceMs()).toBe(oldest);
    await end();
    await end();
    expect(stored.length).toBe(72);
    await end();
    // The others have only a ticket, so none of them is stored yet.
    expect(stored.length).toBe(72);
    expect(queue.has('dea-72')).toBe(true);
    // A ticket without a heartbeat counts as backlog too.
    expect(queue.backlogSinceMs()).toBe(oldest + 72);
    for (const dea of all.slice(72)) queue.enqueue(dea, heartbeat(2));
    await end();
    await end();
    expect(stored.slice(72)).toEqual(all.slice(72).map((dea) => `${dea} 2`));
    expect(queue.backlogSinceMs()).toBeUndefined();
  });

  test('are served fairly while every DEA reports in every round', async () => {
    const { store, stored, end } = manualStore();
    const queue = new ChangedHeartbeatQueue(store, 64 * SIZE);
    const all = names(0, 256);
    // In each round every DEA sends a changed heartbeat, and an eighth of them is stored.
    for (let round = 0; round < 40; round++) {
      for (const dea of all) queue.enqueue(dea, heartbeat());
      await end();
    }
    const times = new Map<string, number>();
    for (const text of stored) times.set(text, (times.get(text) ?? 0) + 1);
    expect(times.size).toBe(256);
    expect(Math.max(...times.values()) - Math.min(...times.values())).toBeLessThanOrEqual(1);
  });

  test('of DEAs that are not heard here any more lose their tickets, and no longer count as backlog', async () => {
    const { store, stored, end } = manualStore();
    let clockMs = nowMs;
    const expiry = { nowMs: () => clockMs, afterMs: 10_000 };
    const queue = new ChangedHeartbeatQueue(store, 40 * SIZE, expiry);
    const all = names(0, 100);
    for (const dea of all) queue.enqueue(dea, heartbeat());
    await end();
    await end();
    await end();
    clockMs = nowMs + 9_000;
    expect(queue.has('dea-72')).toBe(true);
    expect(queue.backlogSinceMs()).toBeDefined();
    clockMs = nowMs + 10_001;
    expect(queue.backlogSinceMs()).toBeUndefined();
    expect(queue.expired).toBe(28);
    expect(queue.has('dea-72')).toBe(false);
    queue.enqueue('dea-72', heartbeat(3));
    await end();
    expect(stored.at(-1)).toBe('dea-72 3');
  });

  test('are stored whatever their size, if few are ahead of them', async () => {
    const { store, stored } = manualStore();
    const queue = new ChangedHeartbeatQueue(store, SIZE / 2);
    queue.enqueue('dea-0', heartbeat(1));
    expect(stored).toEqual(['dea-0 1']);
  });
});
