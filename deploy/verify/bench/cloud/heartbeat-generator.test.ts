import type { NatsConnection } from 'nats';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { parseHeartbeat } from '../../../../common/messages/incoming/incoming.ts';
import { instanceId, PER_DEA } from './fleet.ts';
import { HeartbeatGenerator } from './heartbeat-generator.ts';

const sent: Buffer[] = [];
let generator: HeartbeatGenerator;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  sent.length = 0;
  const nats = { publish: (_: string, data: Buffer) => sent.push(data) };
  generator = new HeartbeatGenerator(nats as unknown as NatsConnection);
});
afterEach(() => {
  generator.stop();
  vi.useRealTimers();
});

/** The heartbeats of one period. */
function period(periodMs = 1_000): Buffer[] {
  sent.length = 0;
  vi.advanceTimersByTime(periodMs);
  return [...sent];
}

function statesOf(bytes: Buffer): string[] {
  const parsed = parseHeartbeat(bytes, 'default');
  if (!('ok' in parsed)) throw new Error('not a heartbeat');
  return parsed.ok.entries.map(({ state }) => state);
}

test('a steady DEA sends equal heartbeats', () => {
  generator.start(3, 1_000, 0);
  const [first, second] = [period(), period()];
  expect(first).toHaveLength(3);
  expect(second).toEqual(first);
  expect(generator.totals()).toEqual({ sent: 6, starting: 0 });
});

test('a share of the instances alternates between two states, and stays in the last one when changes end', () => {
  generator.start(2, 1_000, 0.05);
  const starting = (bytes: Buffer) => statesOf(bytes).filter((state) => state === 'STARTING').length;
  expect(period().map(starting)).toEqual([5, 5]);
  expect(generator.totals()).toEqual({ sent: 2, starting: 10 });
  expect(period().map(starting)).toEqual([0, 0]);
  expect(period().map(starting)).toEqual([5, 5]);
  generator.start(2, 1_000, 0);
  expect(period().map(starting)).toEqual([5, 5]);
  expect(generator.totals()).toEqual({ sent: 8, starting: 10 });
});

test('a silent DEA sends nothing until it resumes with its present instances', () => {
  generator.start(2, 1_000, 0);
  period();
  generator.silence(1);
  expect(period()).toHaveLength(1);
  generator.replace(PER_DEA);
  generator.resume(1);
  const heartbeats = period().map(String);
  expect(heartbeats).toHaveLength(2);
  expect(heartbeats[1]).toContain(instanceId(PER_DEA, 1));
  expect(heartbeats[1]).not.toContain(instanceId(PER_DEA, 0));
});
