import { setTimeout as delay } from 'node:timers/promises';

/** Calls `work` `count` times, evenly `perS` times a second; late calls are made up for. Resolves after the last call. */
export async function atRate(perS: number, count: number, work: (n: number) => void): Promise<void> {
  const beganMs = performance.now();
  let done = 0;
  while (done < count) {
    const due = Math.min(count, Math.floor(((performance.now() - beganMs) / 1000) * perS) + 1);
    for (; done < due; done++) work(done);
    await delay(1);
  }
}

/** Waits until `done()`. Gives up without an error when `progress()` has not changed for `timeoutMs`. */
export async function waitWhileProgressing(
  done: () => boolean,
  progress: () => number,
  timeoutMs: number,
): Promise<void> {
  let last = progress();
  let sinceMs = performance.now();
  while (!done() && performance.now() - sinceMs < timeoutMs) {
    await delay(10);
    if (progress() === last) continue;
    last = progress();
    sinceMs = performance.now();
  }
}
