import type { NatsConnection } from 'nats';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { parseHeartbeat } from '../../../common/messages/incoming.ts';
import { Beats } from './beats.ts';
import { instanceId, PER_DEA } from './fleet.ts';

const sent: Buffer[] = [];
let beats: Beats;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  sent.length = 0;
  const nats = { publish: (_: string, data: Buffer) => sent.push(data) };
  beats = new Beats(nats as unknown as NatsConnection);
});
afterEach(() => {
  beats.stop();
  vi.useRealTimers();
});

/** What a period of so many ms brings. */
function round(periodMs = 1_000): Buffer[] {
  sent.length = 0;
  vi.advanceTimersByTime(periodMs);
  return [...sent];
}

function statesOf(bytes: Buffer): string[] {
  const parsed = parseHeartbeat(bytes, 'default');
  if (!('ok' in parsed)) throw new Error('not a heartbeat');
  return parsed.ok.entries.map(({ state }) => state);
}

test('a steady DEA says the same every time', () => {
  beats.start(3, 1_000, 0);
  const [first, second] = [round(), round()];
  expect(first).toHaveLength(3);
  expect(second).toEqual(first);
  expect(beats.told()).toEqual({ sent: 6, starting: 0 });
});

test('a share changes state every time, and stays as it is when nothing changes any more', () => {
  beats.start(2, 1_000, 0.05);
  const starting = (bytes: Buffer) => statesOf(bytes).filter((state) => state === 'STARTING').length;
  expect(round().map(starting)).toEqual([5, 5]);
  expect(beats.told()).toEqual({ sent: 2, starting: 10 });
  expect(round().map(starting)).toEqual([0, 0]);
  expect(round().map(starting)).toEqual([5, 5]);
  beats.start(2, 1_000, 0);
  expect(round().map(starting)).toEqual([5, 5]);
  expect(beats.told()).toEqual({ sent: 8, starting: 10 });
});

test('a silent DEA says nothing, and then what runs by then', () => {
  beats.start(2, 1_000, 0);
  round();
  beats.silence(1);
  expect(round()).toHaveLength(1);
  beats.replace(PER_DEA);
  beats.resume(1);
  const heard = round().map(String);
  expect(heard).toHaveLength(2);
  expect(heard[1]).toContain(instanceId(PER_DEA, 1));
  expect(heard[1]).not.toContain(instanceId(PER_DEA, 0));
});
