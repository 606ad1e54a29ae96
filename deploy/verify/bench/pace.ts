import { setTimeout as delay } from 'node:timers/promises';

/** Calls `work` `count` times, `perS` a second, evenly; what is late is caught up with. Resolves after the last call. */
export async function atRate(perS: number, count: number, work: (n: number) => void): Promise<void> {
  const beganMs = performance.now();
  let done = 0;
  while (done < count) {
    const due = Math.min(count, Math.floor(((performance.now() - beganMs) / 1000) * perS) + 1);
    for (; done < due; done++) work(done);
    await delay(1);
  }
}

/** Waits until `done()`; gives up quietly after `atMostMs` without a change of `progress()`. */
export async function settled(done: () => boolean, progress: () => number, atMostMs: number): Promise<void> {
  let last = progress();
  let sinceMs = performance.now();
  while (!done() && performance.now() - sinceMs < atMostMs) {
    await delay(10);
    if (progress() === last) continue;
    last = progress();
    sinceMs = performance.now();
  }
}
