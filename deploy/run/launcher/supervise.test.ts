import { pino } from 'pino';
import { expect, test } from 'vitest';
import { keep, type Running, type Time } from './supervise.ts';

const log = pino({ level: 'silent' });
const backoff = { firstMs: 100, mostMs: 450, ranWellMs: 10_000 };

/** Something that runs until the test ends it. */
class Fake implements Running {
  pid = 0;
  stops = 0;
  exited: Promise<number | null>;
  end: (code: number | null) => void = () => undefined;

  constructor() {
    this.exited = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  async stop(): Promise<void> {
    this.stops++;
    this.end(0);
  }
}

/** Time that stands still, but for sleeps, which are recorded and end at once. */
class FakeTime implements Time {
  slept: number[] = [];
  ms = 0;

  nowMs(): number {
    return this.ms;
  }

  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.ms += ms;
  }
}

function started(fakes: Fake[], count: number): Promise<Fake> {
  return expect
    .poll(() => fakes.length)
    .toBe(count)
    .then(() => fakes[count - 1] as Fake);
}

function setUp(options: { final?: (code: number | null) => boolean } = {}) {
  const fakes: Fake[] = [];
  const time = new FakeTime();
  const start = async () => {
    const fake = new Fake();
    fakes.push(fake);
    return fake;
  };
  const keeper = keep({ name: 'x', log, start, backoff, time, ...options });
  return { fakes, time, keeper };
}

test('what ends is started again, each time after twice the wait, up to a limit', async () => {
  const { fakes, time, keeper } = setUp();
  for (let n = 1; n <= 5; n++) (await started(fakes, n)).end(1);
  await started(fakes, 6);
  expect(time.slept).toEqual([100, 200, 400, 450, 450]);
  await keeper.stop();
});

test('what ran well waits shortly again', async () => {
  const { fakes, time, keeper } = setUp();
  for (let n = 1; n <= 3; n++) (await started(fakes, n)).end(1);
  const fourth = await started(fakes, 4);
  time.ms += backoff.ranWellMs;
  fourth.end(null);
  await started(fakes, 5);
  expect(time.slept).toEqual([100, 200, 400, 100]);
  await keeper.stop();
});

test('stopped, it is not started again', async () => {
  const { fakes, time, keeper } = setUp();
  const first = await started(fakes, 1);
  await keeper.stop();
  expect(first.stops).toBe(1);
  expect(time.slept).toEqual([]);
  expect(fakes.length).toBe(1);
});

test('a final exit is not followed by a start', async () => {
  const { fakes, time, keeper } = setUp({ final: (code) => code === 78 });
  (await started(fakes, 1)).end(1);
  (await started(fakes, 2)).end(78);
  await keeper.stop();
  expect(time.slept).toEqual([100]);
  expect(fakes.length).toBe(2);
});

test('a start that fails is tried again', async () => {
  const time = new FakeTime();
  let tries = 0;
  const fake = new Fake();
  const start = async () => {
    tries++;
    if (tries < 3) throw new Error('no');
    return fake;
  };
  const keeper = keep({ name: 'x', log, start, backoff, time });
  await expect.poll(() => tries).toBe(3);
  expect(time.slept).toEqual([100, 200]);
  await keeper.stop();
  expect(fake.stops).toBe(1);
});

test('what comes up after it was told to stop is stopped', async () => {
  const fake = new Fake();
  let up: () => void = () => undefined;
  const start = () => new Promise<Running>((resolve) => (up = () => resolve(fake)));
  const keeper = keep({ name: 'x', log, start, backoff, time: new FakeTime() });
  const stopped = keeper.stop();
  up();
  await stopped;
  expect(fake.stops).toBe(1);
});
