import { describe, expect, test } from 'vitest';
import { ChangedHeartbeatQueue } from './changed-queue.ts';

/** Stores one after the other, when the test says so. */
function storing() {
  const stored: string[] = [];
  const ends: (() => void)[] = [];
  return {
    stored,
    store: (dea: string, { bytes }: { bytes: Uint8Array }) => {
      stored.push(`${dea} ${bytes[0]}`);
      return new Promise<void>((resolve) => ends.push(resolve));
    },
    /** Ends what is being stored, and waits until the next ones are begun. */
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
    backlogSinceMs: nowMs,
  };
};
const names = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `dea-${from + n}`);

describe('changed heartbeats that wait', () => {
  test('are stored in the order in which their DEAs came, the newest of each', async () => {
    const { store, stored, end } = storing();
    const waiting = new ChangedHeartbeatQueue(store);
    for (const dea of names(0, 35)) waiting.enqueue(dea, heartbeat(1));
    waiting.enqueue('dea-34', heartbeat(2));
    waiting.enqueue('dea-32', heartbeat(2));
    await end();
    expect(stored.slice(32).sort()).toEqual(['dea-32 2', 'dea-33 1', 'dea-34 2']);
  });

  test('of one DEA are not stored two at once', async () => {
    const { store, stored, end } = storing();
    const waiting = new ChangedHeartbeatQueue(store);
    waiting.enqueue('dea-0', heartbeat(1));
    waiting.enqueue('dea-0', heartbeat(2));
    expect(stored).toEqual(['dea-0 1']);
    expect(waiting.has('dea-0')).toBe(true);
    await end();
    expect(stored).toEqual(['dea-0 1', 'dea-0 2']);
    expect(waiting.has('dea-0')).toBe(false);
  });

  test('beyond what memory is to be had for have their place kept only, and come in when they are heard near their turn', async () => {
    const { store, stored, end } = storing();
    // 32 are being stored; 40 more are kept.
    const waiting = new ChangedHeartbeatQueue(store, 40 * SIZE);
    const all = names(0, 100);
    for (const dea of all) waiting.enqueue(dea, heartbeat());
    const oldest = nowMs - 99;
    expect(waiting.backlogSinceMs()).toBe(oldest);
    await end();
    await end();
    expect(stored.length).toBe(72);
    await end();
    // None of the others is stored by itself: what was heard of it was not kept.
    expect(stored.length).toBe(72);
    expect(waiting.has('dea-72')).toBe(true);
    // For so long it has been waiting, whatever is kept of it.
    expect(waiting.backlogSinceMs()).toBe(oldest + 72);
    for (const dea of all.slice(72)) waiting.enqueue(dea, heartbeat(2));
    await end();
    await end();
    expect(stored.slice(72)).toEqual(all.slice(72).map((dea) => `${dea} 2`));
    expect(waiting.backlogSinceMs()).toBeUndefined();
  });

  test('that are heard in turn all have their turn, however long that goes on', async () => {
    const { store, stored, end } = storing();
    const waiting = new ChangedHeartbeatQueue(store, 64 * SIZE);
    const all = names(0, 256);
    // In each round all are heard, and something is new of each; an eighth of them is stored.
    for (let round = 0; round < 40; round++) {
      for (const dea of all) waiting.enqueue(dea, heartbeat());
      await end();
    }
    const times = new Map<string, number>();
    for (const text of stored) times.set(text, (times.get(text) ?? 0) + 1);
    expect(times.size).toBe(256);
    expect(Math.max(...times.values()) - Math.min(...times.values())).toBeLessThanOrEqual(1);
  });

  test('are stored however large one is, if few are ahead of it', async () => {
    const { store, stored } = storing();
    const waiting = new ChangedHeartbeatQueue(store, SIZE / 2);
    waiting.enqueue('dea-0', heartbeat(1));
    expect(stored).toEqual(['dea-0 1']);
  });
});
