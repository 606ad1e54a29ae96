import { describe, expect, test } from 'vitest';
import type { LogEntry, LogKind } from '../model/decision-log.ts';
import { NOW, S, times } from '../testing/explain.ts';
import { storyOf } from './explain.ts';
import type { Fact } from './facts.ts';

const options = { times, flappingTimeoutMs: 500 * S };

/** An entry `agoS` seconds before NOW, of slot 2 of the live version. */
const entry = (kind: LogKind, more: Partial<LogEntry> = {}, agoS = 0): LogEntry => ({
  atMs: NOW - agoS * S,
  droplet: 'app',
  kind,
  index: 2,
  version: 'v',
  ...more,
});

const story = (facts: readonly Fact[]) => storyOf(facts, 'v', options).map(({ text }) => text);

const timed = (facts: readonly Fact[]) =>
  storyOf(facts, 'v', options).map(({ atMs, text }) => `${times.at(atMs)}  ${text}`);

const desired = (state: string, instances: number, version: string, staged = 'STAGED') =>
  `${state} ${instances}x ${staged} version ${version} 256M updated 1398000000`;

describe('a story', () => {
  test('of a flapping slot puts each decision on the line of its crash', () => {
    const restart = entry('start', { reason: 'flapping', id: 'a', crashes: 3, dueMs: NOW + 118 * S });
    expect(
      timed([
        entry('exit', { exit: 'CRASHED', crashes: 1, instance: 'i' }, 500),
        entry('start', { reason: 'crashed', id: 'x' }, 500),
        entry('exit', { exit: 'CRASHED', crashes: 3, instance: 'j' }),
        restart,
        entry('sent', { id: 'a', reason: 'flapping' }, -118),
        entry('up', { state: 'RUNNING', dea: 'dea-7' }, -121),
      ]),
    ).toEqual([
      '15:06:36  index 2 crashed: start decided',
      '15:14:56  index 2 crashed (3rd time in 500 s): flapping, restart in 118 s',
      '15:16:54  index 2: start sent (flapping)',
      '15:16:57  index 2 RUNNING on dea-7, 3 s after its start was sent',
    ]);
  });

  test('counts crashes from the first one after an update', () => {
    expect(
      story([
        entry('exit', { exit: 'CRASHED', crashes: 1 }, 400),
        entry('updated', {}, 300),
        entry('exit', { exit: 'CRASHED', crashes: 2 }, 100),
      ])[2],
    ).toBe('index 2 crashed (2nd time in a row)');
  });

  test.each<[string, Partial<LogEntry>, LogEntry, string]>([
    [
      'giving up',
      { exit: 'CRASHED', crashes: 5 },
      entry('giveup', { crashes: 5 }),
      'index 2 crashed (5th time in a row): given up after 5 crashes: no start until the app is changed or 500 s have passed',
    ],
    [
      'a hold',
      { exit: 'CRASHED' },
      entry('held', { what: 'start', reason: 'crashed', hold: 'update_required' }),
      'index 2 crashed: not started yet: hold update_required',
    ],
    [
      'an evacuation',
      { exit: 'DEA_SHUTDOWN', dea: 'dea-7' },
      entry('start', { reason: 'evacuated' }),
      'index 2 ended because dea-7 is shutting down: start decided',
    ],
  ])('puts %s on the line of the exit that caused it', (_, exit, consequence, text) => {
    expect(story([entry('exit', exit), consequence])).toEqual([text]);
  });

  test.each<[string, LogEntry]>([
    ['of another slot', entry('start', { reason: 'crashed', index: 3 })],
    ['much later', entry('start', { reason: 'crashed' }, -2)],
    ['for another reason', entry('start', { reason: 'missing' })],
  ])('does not put on the line of an exit a decision that is %s', (_, other) => {
    expect(story([entry('exit', { exit: 'CRASHED' }), other])).toHaveLength(2);
  });

  test('has one line for what happens to many indices at one moment', () => {
    const all = (kind: LogKind, agoS: number) =>
      [3, 0, 1].map((index) => entry(kind, { reason: 'missing', id: `s${index}`, index }, agoS));
    const up = entry('up', { index: 1, state: 'RUNNING', dea: 'dea-7' }, 0);
    expect(story([...all('start', 5), ...all('sent', 4), up])).toEqual([
      'indices 0, 1 and 3 are missing (no instance is known): start decided',
      'indices 0, 1 and 3: start sent (missing)',
      'index 1 RUNNING on dea-7, 4 s after its start was sent',
    ]);
  });

  test('takes the index of an outcome from its decision', () => {
    const decided = entry('stop', { id: 'a', reason: 'duplicate', instance: 'i', dea: 'dea-7' });
    const { index: _, version: __, ...bare } = entry('dropped', { id: 'a', why: 'not_surplus' });
    expect(story([decided, bare])[1]).toBe(
      'stop of index 2 on dea-7 (instance i) dropped: the instance is no longer surplus',
    );
  });

  test('names versions other than the live version of that time', () => {
    const lines = storyOf(
      [
        entry('exit', { exit: 'CRASHED', version: 'v1' }, 9),
        entry('desired', { was: desired('STARTED', 3, 'v1'), is: desired('STARTED', 3, 'v2') }, 8),
        entry('exit', { exit: 'STOPPED', version: 'v1' }, 7),
        entry('exit', { exit: 'CRASHED', version: 'v2' }, 6),
      ],
      'v2',
      options,
    );
    expect(lines.map(({ text }) => text)).toEqual([
      'index 2 crashed',
      'the controller changed the desired state: version v2 in place of v1',
      'index 2 of version v1 was stopped',
      'index 2 crashed',
    ]);
  });
});
