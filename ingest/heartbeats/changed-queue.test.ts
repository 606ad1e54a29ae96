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

  test('are stored whatever their size, if few are ahead of them', async () => {
    const { store, stored } = manualStore();
    const queue = new ChangedHeartbeatQueue(store, SIZE / 2);
    queue.enqueue('dea-0', heartbeat(1));
    expect(stored).toEqual(['dea-0 1']);
  });
});
