import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { captureLog, metricValue } from '../common/testing/context.ts';
import { MessageBuffer } from './message-buffer.ts';
import { ingestMetrics } from './metrics.ts';

const BOUNDS = { maxMessages: 3, maxBytes: 1_000 };
const refusal = (code: string) => Object.assign(new Error(`${code} no`), { name: 'ReplyError' });

let registry: Registry;
let buffer: MessageBuffer;
let lines: Record<string, unknown>[];
let stored: string[];
let tries: number;
/** What Redis replies; undefined: it stores. */
let problem: Error | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  registry = new Registry();
  const captured = captureLog();
  lines = captured.lines;
  buffer = new MessageBuffer({ metrics: ingestMetrics(registry), log: captured.log, bounds: BOUNDS });
  [stored, tries, problem] = [[], 0, undefined];
});
afterEach(() => void vi.useRealTimers());

function add(name: string, { key, bytes = 1 }: { key?: string; bytes?: number } = {}): void {
  buffer.add({
    subject: key === undefined ? 'exit' : 'update',
    bytes,
    ...(key !== undefined && { key }),
    store: async () => {
      tries++;
      if (problem !== undefined) throw problem;
      stored.push(name);
    },
  });
}
const events = () => lines.map(({ event }) => event);

test('messages are stored at once while Redis takes writes', async () => {
  for (let n = 0; n < 10; n++) add(`${n}`);
  await buffer.idle();
  expect([stored.length, lines, await metricValue(registry, 'hm_messages_dropped_total')]).toEqual([
    10,
    [],
    0,
  ]);
});

test.each(['OOM', 'MISCONF', 'READONLY', 'BUSY', 'NOREPLICAS', 'LOADING', 'CLUSTERDOWN'])(
  'messages that Redis refuses with %s wait, and all are stored soon after it takes writes',
  async (code) => {
    problem = refusal(code);
    add('1');
    await vi.advanceTimersByTimeAsync(0);
    add('2');
    add('3');
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await metricValue(registry, 'hm_messages_waiting')).toBe(3);
    expect([events(), tries]).toEqual([
      ['messages_waiting'],
      expect.toSatisfy((n: number) => n > 8 && n < 20),
    ]);
    problem = undefined;
    await vi.advanceTimersByTimeAsync(2_000);
    await buffer.idle();
    expect(stored.toSorted()).toEqual(['1', '2', '3']);
    expect(events()).toEqual(['messages_waiting', 'messages_stored']);
    const triesUntilStored = tries;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(tries).toBe(triesUntilStored);
  },
);

test('a message that Redis refuses for good is dropped, and the next ones are stored', async () => {
  problem = refusal('WRONGTYPE');
  add('1');
  await buffer.idle();
  problem = undefined;
  add('2');
  await buffer.idle();
  expect([stored, events()]).toEqual([['2'], ['message_not_stored']]);
});

describe('beyond its bounds the buffer', () => {
  beforeEach(async () => {
    problem = refusal('OOM');
    add('first');
    await vi.advanceTimersByTimeAsync(0);
  });
  const storedThen = async () => {
    problem = undefined;
    await vi.advanceTimersByTimeAsync(2_000);
    await buffer.idle();
    return stored.toSorted();
  };

  test('drops updates before exits', async () => {
    add('u1', { key: 'a' });
    add('u2', { key: 'b' });
    add('e1');
    add('e2');
    expect(await metricValue(registry, 'hm_messages_dropped_total', { subject: 'update' })).toBe(2);
    expect(await storedThen()).toEqual(['e1', 'e2', 'first']);
  });

  test('drops the oldest exit when nothing else waits', async () => {
    add('e1');
    add('e2');
    add('e3');
    expect(await metricValue(registry, 'hm_messages_dropped_total', { subject: 'exit' })).toBe(1);
    expect(await storedThen()).toEqual(['e1', 'e2', 'e3']);
    expect(events()).toContain('messages_dropped');
  });

  test('counts bytes', async () => {
    add('e1', { bytes: 600 });
    add('e2', { bytes: 600 });
    expect(await storedThen()).toEqual(['e2']);
  });

  test('keeps one message for each key', async () => {
    for (let n = 0; n < 50; n++) add('u', { key: 'a' });
    expect(await storedThen()).toEqual(['first', 'u']);
  });
});
