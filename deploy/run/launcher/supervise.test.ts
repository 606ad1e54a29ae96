import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type Running, supervise, type Time } from './supervise.ts';

const log = pino({ level: 'silent' });
const backoff = { firstMs: 100, maxMs: 450, resetAfterMs: 10_000 };

/** A process that runs until the test ends it. */
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

/** A clock that only sleeps advance. Sleeps are recorded and end at once. */
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

function setUp(options: { isFinal?: (code: number | null) => boolean } = {}) {
  const fakes: Fake[] = [];
  const time = new FakeTime();
  const start = async () => {
    const fake = new Fake();
    fakes.push(fake);
    return fake;
  };
  const supervisor = supervise({ name: 'x', log, start, backoff, time, ...options });
  return { fakes, time, supervisor };
}

test('a process that ends is restarted, each time after twice the wait, up to a limit', async () => {
  const { fakes, time, supervisor } = setUp();
  for (let n = 1; n <= 5; n++) (await started(fakes, n)).end(1);
  await started(fakes, 6);
  expect(time.slept).toEqual([100, 200, 400, 450, 450]);
  await supervisor.stop();
});

test('a long run resets the wait', async () => {
  const { fakes, time, supervisor } = setUp();
  for (let n = 1; n <= 3; n++) (await started(fakes, n)).end(1);
  const fourth = await started(fakes, 4);
  time.ms += backoff.resetAfterMs;
  fourth.end(null);
  await started(fakes, 5);
  expect(time.slept).toEqual([100, 200, 400, 100]);
  await supervisor.stop();
});

test('a stopped process is not restarted', async () => {
  const { fakes, time, supervisor } = setUp();
  const first = await started(fakes, 1);
  await supervisor.stop();
  expect(first.stops).toBe(1);
  expect(time.slept).toEqual([]);
  expect(fakes.length).toBe(1);
});

test('a final exit code ends the restarts', async () => {
  const { fakes, time, supervisor } = setUp({ isFinal: (code) => code === 78 });
  (await started(fakes, 1)).end(1);
  (await started(fakes, 2)).end(78);
  await supervisor.stop();
  expect(time.slept).toEqual([100]);
  expect(fakes.length).toBe(2);
});

test('a failed start is tried again', async () => {
  const time = new FakeTime();
  let tries = 0;
  const fake = new Fake();
  const start = async () => {
    tries++;
    if (tries < 3) throw new Error('no');
    return fake;
  };
  const supervisor = supervise({ name: 'x', log, start, backoff, time });
  await expect.poll(() => tries).toBe(3);
  expect(time.slept).toEqual([100, 200]);
  await supervisor.stop();
  expect(fake.stops).toBe(1);
});

test('a process whose start completes after stop was called is stopped', async () => {
  const fake = new Fake();
  let up: () => void = () => undefined;
  const start = () => new Promise<Running>((resolve) => (up = () => resolve(fake)));
  const supervisor = supervise({ name: 'x', log, start, backoff, time: new FakeTime() });
  const stopped = supervisor.stop();
  up();
  await stopped;
  expect(fake.stops).toBe(1);
});
