import { expect, test, vi } from 'vitest';
import { singleFlight } from './single-flight.ts';

test('calls during a run share it, and the next call starts another', async () => {
  const ends: ((value: number) => void)[] = [];
  const work = vi.fn(() => new Promise<number>((resolve) => ends.push(resolve)));
  const run = singleFlight(work);
  const [first, second] = [run(), run()];
  expect(work).toHaveBeenCalledOnce();
  ends[0]?.(1);
  expect([await first, await second]).toEqual([1, 1]);
  const third = run();
  ends[1]?.(2);
  expect(await third).toBe(2);
});

test('a run that fails, or throws at once, does not keep the next one from starting', async () => {
  const work = vi.fn((): Promise<string> => {
    throw new Error('failed');
  });
  const run = singleFlight(work);
  await expect(run()).rejects.toThrow('failed');
  work.mockReturnValueOnce(Promise.resolve('well'));
  expect(await run()).toBe('well');
});

test('is idle when the run in progress has ended, however it ends', async () => {
  let end = (_error: Error): void => {};
  const run = singleFlight(
    () =>
      new Promise<void>((_, reject) => {
        end = reject;
      }),
  );
  await run.idle();
  const running = run();
  running.catch(() => undefined);
  const idle = vi.fn();
  const waiting = run.idle().then(idle);
  await new Promise(setImmediate);
  expect(idle).not.toHaveBeenCalled();
  end(new Error('failed'));
  await waiting;
  expect(idle).toHaveBeenCalledOnce();
});
