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

describe('facts from the record', () => {
  const linesOf = (hash: Hash, deas: Record<string, number>, log: LogEntry[] = []) =>
    timed(factsOf(log, view(hash, deas))).slice(1);

  test('where instances were first listed, unless the log has it', () => {
    const hash = { 'instance:a': instance(0, {}), 'instance:b': instance(1, {}) };
    const deas = { 'dea-1': 2 };
    expect(linesOf(hash, deas)).toEqual(['15:04:56  indices 0 and 1 first listed by dea-1 (RUNNING now)']);
    const up = entry('up', { index: 0, instance: 'a', dea: 'dea-1', state: 'STARTING' }, 600);
    expect(linesOf(hash, deas, [up])).toEqual([
      '15:04:56  index 1 first listed by dea-1 (RUNNING now)',
      '15:04:56  index 0 STARTING on dea-1 (RUNNING now)',
    ]);
  });

  test('an instance that has just started, before the analyzer has logged it', () => {
    const hash = { 'instance:a': instance(2, { first: 1 }) };
    expect(linesOf(hash, { 'dea-1': 1 }, [entry('sent', { id: 'a', reason: 'missing' }, 4)])).toEqual([
      '15:14:52  index 2: start sent (missing)',
      '15:14:55  index 2 RUNNING on dea-1, 3 s after its start was sent',
    ]);
  });

  test('the last heartbeat of a silent DEA, and the last listing of an instance that left the list', () => {
    const hash = {
      'instance:a': instance(0, {}),
      'instance:b': instance(1, {}),
      'instance:c': instance(2, { dea: 'dea-2', last: 20 }),
    };
    expect(linesOf(hash, { 'dea-1': 40, 'dea-2': 1 }).slice(-2)).toEqual([
      '15:14:16  last heartbeat of dea-1; indices 0 and 1 ran there',
      '15:14:36  dea-2 listed index 2 (RUNNING) for the last time; its next heartbeat did not list it',
    ]);
    // Of an expired DEA the last heartbeat is not known.
    expect(linesOf(hash, { 'dea-2': 1 }).join()).not.toContain('last heartbeat of dea-1');
  });

  test('exits and updates that the analyzer has not logged yet, and only once when it has', () => {
    const hash = {
      updated: String(NOW - 5 * S),
      'instance:a': instance(0, {}),
      'exit:a': `0 CRASHED version v at ${NOW - 3 * S} crashed 1 n 1`,
    };
    const all = linesOf(hash, { 'dea-1': 1 });
    expect(all.slice(-2)).toEqual([
      '15:14:51  droplet.updated: the controller changed the app',
      '15:14:53  index 0 crashed on dea-1',
    ]);
    const logged = [
      entry('updated', {}, 5),
      entry('exit', { index: 0, exit: 'CRASHED', instance: 'a', dea: 'dea-1', crashes: 1 }, 3),
    ];
    expect(linesOf(hash, { 'dea-1': 1 }, logged)).toEqual(all);
  });

  test('a crash listed under a new guid, unless the crash itself is known', () => {
    const hash = { 'instance:new': instance(0, { state: 'CRASHED', first: 10 }) };
    expect(linesOf(hash, { 'dea-1': 1 })).toEqual(['15:14:46  dea-1 first listed index 0 as CRASHED']);
    const crash = entry('exit', { index: 0, exit: 'CRASHED', instance: 'old' }, 11);
    expect(linesOf(hash, { 'dea-1': 1 }, [crash])).toEqual(['15:14:45  index 0 crashed']);
  });

  test('without a record the facts are those of the log', () => {
    expect(timed(factsOf([entry('removed')], undefined))).toHaveLength(1);
  });
});
