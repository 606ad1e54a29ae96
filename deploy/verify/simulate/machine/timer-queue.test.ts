import { expect, test } from 'vitest';
import { Host } from './host.ts';
import { TimerQueue } from './timer-queue.ts';

function stage() {
  const ran: string[] = [];
  let nowMs = 0;
  const queue = new TimerQueue(() => nowMs);
  return {
    queue,
    add: (name: string, delayMs: number, options: { repeats?: boolean; host?: Host } = {}) =>
      queue.add({
        callback: () => void ran.push(`${name} at ${nowMs}`),
        delayMs,
        repeats: options.repeats ?? false,
        host: options.host,
      }),
    runUntil: (ms: number) => {
      nowMs = ms;
      for (let timer = queue.take(); timer !== undefined; timer = queue.take()) timer.run();
      return ran.splice(0);
    },
  };
}

test('timers run in the order of their times, and equal ones in the order in which they were set', () => {
  const { add, runUntil } = stage();
  for (const ms of [30, 10, 20, 10, 40]) add(`${ms} ms`, ms);
  expect(runUntil(30)).toEqual(['10 ms at 30', '10 ms at 30', '20 ms at 30', '30 ms at 30']);
  expect(runUntil(40)).toEqual(['40 ms at 40']);
});

test('an interval leaves out the periods that it missed', () => {
  const { add, runUntil } = stage();
  const interval = add('interval', 10, { repeats: true });
  expect(runUntil(35)).toEqual(['interval at 35']);
  expect(runUntil(44)).toEqual([]);
  expect(runUntil(45)).toEqual(['interval at 45']);
  interval.close();
  expect(runUntil(100)).toEqual([]);
});

test('a refreshed timer begins again', () => {
  const { add, runUntil } = stage();
  const timer = add('timer', 10);
  runUntil(5);
  timer.refresh();
  expect(runUntil(14)).toEqual([]);
  expect(runUntil(15)).toEqual(['timer at 15']);
});

test('timers of a stopped host run when it is resumed, and those of a dead host never', () => {
  const { add, queue, runUntil } = stage();
  const [stopped, dead] = [new Host('stopped'), new Host('dead')];
  add('stopped', 10, { host: stopped });
  add('dead', 10, { host: dead });
  stopped.pause();
  dead.kill();
  expect(runUntil(60)).toEqual([]);
  expect(queue.nextDueMs()).toBeUndefined();
  stopped.resume();
  expect(runUntil(61)).toEqual(['stopped at 61']);
});
