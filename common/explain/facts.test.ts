import { describe, expect, test } from 'vitest';
import type { LogEntry, LogKind } from '../model/decision-log.ts';
import { type Hash, instance, NOW, S, times, view } from '../testing/explain.ts';
import { storyOf } from './explain.ts';
import { type Fact, factsOf } from './facts.ts';

/** An entry `agoS` seconds before NOW, of slot 2 of the live version. */
const entry = (kind: LogKind, more: Partial<LogEntry> = {}, agoS = 0): LogEntry => ({
  atMs: NOW - agoS * S,
  droplet: 'app',
  kind,
  index: 2,
  version: 'v',
  ...more,
});
const timed = (facts: readonly Fact[]) =>
  storyOf(facts, 'v', { times, flappingTimeoutMs: 500 * S }).map(
    ({ atMs, text }) => `${times.at(atMs)}  ${text}`,
  );

describe('the record tells what the log has not', () => {
  const told = (hash: Hash, heard: Record<string, number>, log: LogEntry[] = []) =>
    timed(factsOf(log, view(hash, heard))).slice(1);

  test('who was first heard where; nothing twice', () => {
    const hash = { 'instance:a': instance(0, {}), 'instance:b': instance(1, {}) };
    const heard = { 'dea-1': 2 };
    expect(told(hash, heard)).toEqual(['15:04:56  indices 0 and 1 first heard on dea-1 (RUNNING now)']);
    const up = entry('up', { index: 0, instance: 'a', dea: 'dea-1', state: 'STARTING' }, 600);
    expect(told(hash, heard, [up])).toEqual([
      '15:04:56  index 1 first heard on dea-1 (RUNNING now)',
      '15:04:56  index 0 STARTING on dea-1 (RUNNING now)',
    ]);
  });

  test('what was just started, before the analyzer has taken note', () => {
    const hash = { 'instance:a': instance(2, { first: 1 }) };
    expect(told(hash, { 'dea-1': 1 }, [entry('sent', { id: 'a', reason: 'missing' }, 4)])).toEqual([
      '15:14:52  index 2: start sent (missing)',
      '15:14:55  index 2 RUNNING on dea-1, 3 s after its start was sent',
    ]);
  });

  test('whose DEA fell silent, and what left the list of one', () => {
    const hash = {
      'instance:a': instance(0, {}),
      'instance:b': instance(1, {}),
      'instance:c': instance(2, { dea: 'dea-2', last: 20 }),
    };
    expect(told(hash, { 'dea-1': 40, 'dea-2': 1 }).slice(-2)).toEqual([
      '15:14:16  dea-1 was heard for the last time; indices 0 and 1 ran there',
      '15:14:36  dea-2 listed index 2 (RUNNING) for the last time; its next list lacked it',
    ]);
    // Of a DEA that is forgotten nobody knows when it was heard.
    expect(told(hash, { 'dea-2': 1 }).join()).not.toContain('dea-1 was heard');
  });

  test('exits and updates that no analyzer has taken into account yet, once', () => {
    const hash = {
      updated: String(NOW - 5 * S),
      'instance:a': instance(0, {}),
      'exit:a': `0 CRASHED version v at ${NOW - 3 * S} crashed 1 n 1`,
    };
    const all = told(hash, { 'dea-1': 1 });
    expect(all.slice(-2)).toEqual([
      '15:14:51  droplet.updated: the controller changed the app',
      '15:14:53  index 0 crashed on dea-1',
    ]);
    const logged = [
      entry('updated', {}, 5),
      entry('exit', { index: 0, exit: 'CRASHED', instance: 'a', dea: 'dea-1', crashes: 1 }, 3),
    ];
    expect(told(hash, { 'dea-1': 1 }, logged)).toEqual(all);
  });

  test('a crash under its new guid only where the crash itself was not heard', () => {
    const hash = { 'instance:new': instance(0, { state: 'CRASHED', first: 10 }) };
    expect(told(hash, { 'dea-1': 1 })).toEqual(['15:14:46  dea-1 first listed index 0 as CRASHED']);
    const crash = entry('exit', { index: 0, exit: 'CRASHED', instance: 'old' }, 11);
    expect(told(hash, { 'dea-1': 1 }, [crash])).toEqual(['15:14:45  index 0 crashed']);
  });

  test('without a record there is the log', () => {
    expect(timed(factsOf([entry('removed')], undefined))).toHaveLength(1);
  });
});
