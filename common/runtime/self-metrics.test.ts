import { Histogram, Registry } from 'prom-client';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Lifecycle } from './lifecycle/lifecycle.ts';
import { measureEventLoop, measureRoundTrips } from './self-metrics.ts';

let seconds: Histogram;
let lifecycle: Lifecycle;

beforeEach(() => {
  seconds = new Histogram({
    name: 'hm_seconds',
    help: 'measured',
    buckets: [0.1, 1],
    registers: [new Registry()],
  });
  lifecycle = new Lifecycle();
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'performance'] });
  return async () => {
    await lifecycle.stop();
    vi.useRealTimers();
  };
});

/** The number of measurements, and their sum (s). */
const measured = async () => {
  const { values } = await seconds.get();
  const of = (suffix: string) =>
    values.find(({ metricName }) => metricName === `hm_seconds_${suffix}`)?.value;
  return { times: of('count'), seconds: of('sum') };
};
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe('round trips', () => {
  test('are measured periodically until the stop', async () => {
    measureRoundTrips(seconds, () => pause(40), lifecycle, 1000);
    await vi.advanceTimersByTimeAsync(3_500);
    expect(await measured()).toEqual({ times: 3, seconds: expect.closeTo(0.12) });
    await lifecycle.stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect((await measured()).times).toBe(3);
  });

  test('do not overlap: a long one is measured in full', async () => {
    let trips = 0;
    measureRoundTrips(seconds, () => pause(trips++ === 0 ? 4_500 : 0), lifecycle, 1000);
    await vi.advanceTimersByTimeAsync(5_700);
    expect(trips).toBe(1);
    expect(await measured()).toEqual({ times: 1, seconds: expect.closeTo(4.5) });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(trips).toBe(2);
  });

  test('that fail are not counted, and later ones are', async () => {
    let unreachable = true;
    const trip = () => (unreachable ? Promise.reject(new Error('unreachable')) : Promise.resolve());
    measureRoundTrips(seconds, trip, lifecycle, 1000);
    await vi.advanceTimersByTimeAsync(2_500);
    expect((await measured()).times).toBe(0);
    unreachable = false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await measured()).times).toBe(1);
  });
});

test('the event loop is late by as long as something blocks it', async () => {
  vi.useRealTimers();
  measureEventLoop(seconds, lifecycle);
  await pause(10);
  const until = performance.now() + 1_000;
  while (performance.now() < until); // the first measurement is due meanwhile
  await expect.poll(async () => (await measured()).seconds).toBeGreaterThan(0.4);
});
