import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PeriodicTask } from './periodic-task.ts';

let tasks: PeriodicTask[];
beforeEach(() => {
  tasks = [];
  vi.useFakeTimers();
});
afterEach(() => {
  for (const task of tasks) task.cancel();
  vi.useRealTimers();
});

function every(everyMs: number, work: () => unknown): PeriodicTask {
  const task = new PeriodicTask(everyMs, work);
  tasks.push(task);
  return task;
}

test('runs every so often until it is cancelled', async () => {
  const work = vi.fn();
  const task = every(100, work);
  expect(work).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(300);
  expect(work).toHaveBeenCalledTimes(3);
  task.cancel();
  await vi.advanceTimersByTimeAsync(300);
  expect(work).toHaveBeenCalledTimes(3);
});

test('never overlaps itself', async () => {
  let end = () => {};
  const work = vi.fn(
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
  );
  const task = every(100, work);
  await vi.advanceTimersByTimeAsync(500);
  const joined = task.runNow();
  expect(work).toHaveBeenCalledOnce();
  end();
  await joined;
  await vi.advanceTimersByTimeAsync(100);
  expect(work).toHaveBeenCalledTimes(2);
});

test('a stop waits for the run in progress', async () => {
  let end = () => {};
  const task = every(100, () => new Promise<void>((resolve) => (end = resolve)));
  await vi.advanceTimersByTimeAsync(100);
  const stopped = vi.fn();
  const stopping = task.stop().then(stopped);
  await vi.advanceTimersByTimeAsync(100);
  expect(stopped).not.toHaveBeenCalled();
  end();
  await stopping;
});
