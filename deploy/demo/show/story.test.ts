import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CloudEvent, DeaView } from '../cloud/cloud.ts';
import { followStory, type Line } from './story.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const dea: DeaView = { name: 'dea-2', state: 'up', pid: 7, instances: [] };

/** The lines of these events; the health manager waits 4 s for a heartbeat. */
function told(...events: (CloudEvent | number)[]): string[] {
  const lines: Line[] = [];
  const cloud = { deas: () => [dea], apps: () => [], events: new EventEmitter<{ event: [CloudEvent] }>() };
  const nats = { subscribe: () => ({}) as never };
  followStory(cloud, nats, (line) => lines.push(line), { lost: 4 });
  for (const event of events) {
    if (typeof event === 'number') vi.advanceTimersByTime(event);
    else cloud.events.emit('event', event);
  }
  return lines.map(({ source, text }) => `${source}: ${text}`);
}

test('a DEA of a busy machine is told apart from a lost one, once in a while', () => {
  expect(
    told({ type: 'late', dea, ms: 1_400 }, { type: 'late', dea, ms: 1_300 }, 10_000, {
      type: 'late',
      dea,
      ms: 5_240,
    }),
  ).toEqual([
    'dea-2: its heartbeat is 1.4 s late: this machine is busy, or the DEA was suspended',
    'dea-2: its heartbeat is 5.2 s late: this machine is busy, or the DEA was suspended; after 4 s of silence it counts as lost',
  ]);
});

test('a killed DEA: how long the health manager waits', () => {
  expect(told({ type: 'dea', dea: { ...dea, state: 'gone' }, killed: true })).toEqual([
    'dea-2: is gone: it was killed; the health manager waits 4 s for a heartbeat',
  ]);
});
