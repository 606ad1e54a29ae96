import { describe, expect, test } from 'vitest';
import type { LogEntry, LogKind } from '../../model/decision-log.ts';
import { NOW, S, times } from '../../testing/explain.ts';
import { storyOf } from '../explain.ts';
import type { Fact, FactKind } from '../facts.ts';

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

const desired = (state: string, instances: number, version: string, staged = 'STAGED') =>
  `${state} ${instances}x ${staged} version ${version} 256M updated 1398000000`;

describe('each kind of fact has its sentence', () => {
  const sentences: Record<FactKind, [Partial<Fact>, string][]> = {
    start: [
      [{ reason: 'missing' }, 'index 2 is missing (no instance is known): start decided'],
      [
        { reason: 'missing', dea: 'dea-7', state: 'RUNNING', lastHeartbeatMs: NOW - 31 * S },
        'index 2 is missing (last listed by dea-7 at 15:14:25, 31 s before): start decided',
      ],
      [
        { reason: 'missing', dea: 'dea-7', state: 'CRASHED', lastHeartbeatMs: NOW - 31 * S },
        'index 2 is missing (last listed as CRASHED by dea-7 at 15:14:25, 31 s before): start decided',
      ],
      [{ reason: 'crashed' }, 'index 2: start decided because it crashed'],
      [
        { reason: 'missing', attempts: 1 },
        'index 2 is missing (no instance is known): start decided; the last start had no effect',
      ],
      [
        { reason: 'evacuated', dea: 'dea-7', state: 'EVACUATING' },
        'index 2: start decided because its instance on dea-7 (EVACUATING) is being evacuated',
      ],
      [{ reason: 'evacuated' }, 'index 2: start decided because its instance is being evacuated'],
      [
        { reason: 'flapping', crashes: 3, dueMs: NOW + 118 * S },
        'index 2 is flapping after 3 crashes in a row: restart in 118 s',
      ],
    ],
    stop: [
      [
        { reason: 'extra_index', wanted: 2, instance: 'i', dea: 'dea-7' },
        'stop of index 2 on dea-7 (instance i) decided: the app wants only 2 instances (extra_index)',
      ],
      [
        { reason: 'wrong_version', version: 'old', liveVersion: 'v', instance: 'i' },
        'stop of index 2 of version old (instance i) decided: it is of version old, and the live version, v, runs (wrong_version)',
      ],
      [
        { reason: 'duplicate', instance: 'i' },
        'stop of index 2 (instance i) decided: the index runs more than once (duplicate)',
      ],
    ],
    raise: [
      [
        { reason: 'evacuated', dea: 'dea-7', state: 'EVACUATING' },
        'index 2: queued start raised to high priority because its instance on dea-7 (EVACUATING) is being evacuated',
      ],
    ],
    cancel: [
      [
        { what: 'start', why: 'not_wanted' },
        'index 2: start cancelled before it was sent: it is no longer wanted',
      ],
      [
        { what: 'stop', why: 'gone', instance: 'i' },
        'stop of index 2 (instance i) cancelled before it was sent: the instance no longer runs',
      ],
    ],
    held: [
      [
        {
          what: 'start',
          reason: 'missing',
          hold: 'mass_loss',
          dea: 'd',
          state: 'RUNNING',
          lastHeartbeatMs: NOW - S,
        },
        'index 2 is missing (last listed by d at 15:14:55, 1 s before); not started: hold mass_loss',
      ],
      [
        { what: 'start', reason: 'crashed', hold: 'update_required' },
        'index 2 should be started (crashed); not started: hold update_required',
      ],
      [
        {
          what: 'start',
          reason: 'crashed',
          hold: 'operator',
          by: 'alice',
          note: 'network',
          untilMs: NOW + S,
        },
        'index 2 should be started (crashed); not started: hold operator (alice until 15:14:57: network)',
      ],
      [
        { what: 'stop', reason: 'extra_app', hold: 'mass_delete', instance: 'i' },
        'index 2 (instance i) should be stopped: the controller no longer lists the app (extra_app); not stopped: hold mass_delete',
      ],
    ],
    operator: [
      [
        {
          act: 'hold',
          by: 'alice',
          covers: 'all',
          droplet: '',
          note: 'network',
          holdId: 'a1',
          untilMs: NOW + S,
        },
        'alice paused starts and stops of everything until 15:14:57: network (hold a1)',
      ],
      [
        { act: 'hold', by: 'alice', covers: 'starts', droplet: '', dea: 'dea-7', note: 'n', untilMs: NOW },
        'alice paused starts of dea-7 until 15:14:56: n',
      ],
      [{ act: 'end_hold', by: 'bob', covers: 'stops', holdId: 'a1' }, 'bob resumed stops of app (hold a1)'],
      [{ act: 'release', by: 'bob', hold: 'mass_loss' }, 'bob released the hold mass_loss'],
      [{ act: 'sync', by: 'bob' }, 'bob requested a bulk sync'],
      [
        { act: 'retry', by: 'bob', indices: [0, 2] },
        'bob asked for another try of indices 0 and 2: crash count and attempts are forgotten',
      ],
    ],
    unplaced: [
      [
        { attempts: 3 },
        'index 2 unplaced: 3 starts in a row had no effect, so no DEA seems to have room; it is tried again, more rarely each time',
      ],
    ],
    giveup: [
      [
        { crashes: 5 },
        'index 2 given up after 5 crashes: no start until the app is changed or 500 s have passed',
      ],
    ],
    sent: [
      [{ id: 'a', reason: 'crashed' }, 'index 2: start sent (crashed)'],
      [{ id: 'a' }, 'index 2: start sent'],
      [{ id: 'a', reason: 'stopped', instance: 'i' }, 'stop of index 2 (instance i) sent (stopped)'],
      [
        { id: 'a', reason: 'crashed', dryRun: true },
        'index 2: start would have been sent (crashed): dry_run is on',
      ],
    ],
    refused: [
      [
        { id: 'a', reason: 'missing', why: 'status 404: unknown app' },
        'index 2: start refused by the controller: status 404: unknown app',
      ],
    ],
    dropped: [
      [{ id: 'a', reason: 'missing', why: 'live' }, 'index 2: start dropped: the index has a live instance'],
      [
        { id: 'a', reason: 'duplicate', why: 'held:actual_not_fresh', instance: 'i' },
        'stop of index 2 (instance i) dropped: hold actual_not_fresh',
      ],
      [{ id: 'a', why: 'of a newer release' }, 'index 2: start dropped: of a newer release'],
    ],
    exit: [
      [{ exit: 'CRASHED', crashes: 1, dea: 'dea-7' }, 'index 2 crashed on dea-7'],
      [{ exit: 'CRASHED', crashes: 12 }, 'index 2 crashed (12th time in a row)'],
      [
        { exit: 'CRASHED', exitStatus: 137, exitDescription: 'out of memory' },
        'index 2 crashed (exit status 137, out of memory)',
      ],
      [
        { exit: 'CRASHED', exitStatus: 0, crashes: 2, dea: 'dea-7' },
        'index 2 crashed (exit status 0) on dea-7 (2nd time in a row)',
      ],
      [{ exit: 'CRASHED', exitDescription: 'out of memory' }, 'index 2 crashed (out of memory)'],
      [{ exit: 'STOPPED', dea: 'dea-7' }, 'index 2 was stopped on dea-7'],
      [{ exit: 'DEA_SHUTDOWN', dea: 'dea-7' }, 'index 2 ended because dea-7 is shutting down'],
      [{ exit: 'DEA_EVACUATION' }, 'index 2 is being evacuated from its DEA'],
      [{ exit: 'CRASHED', version: 'old' }, 'index 2 of version old crashed'],
    ],
    up: [
      [{ state: 'RUNNING', dea: 'dea-7' }, 'index 2 RUNNING on dea-7'],
      [{ state: 'STARTING', now: 'RUNNING', dea: 'dea-7' }, 'index 2 STARTING on dea-7 (RUNNING now)'],
      [{ state: 'RUNNING', dea: 'dea-7', again: true }, 'index 2 is listed again: RUNNING on dea-7'],
    ],
    updated: [[{}, 'droplet.updated: the controller changed the app']],
    desired: [
      [
        { was: desired('STARTED', 4, 'v'), is: desired('STARTED', 2, 'v') },
        'the controller changed the desired state: scaled from 4 to 2',
      ],
      [
        { was: desired('STARTED', 4, 'v'), is: desired('STOPPED', 4, 'v') },
        'the controller changed the desired state: stopped',
      ],
      [
        { was: desired('STOPPED', 4, 'v', 'PENDING'), is: desired('STARTED', 4, 'v2') },
        'the controller changed the desired state: started, version v2 in place of v, package STAGED',
      ],
      [
        { is: desired('STARTED', 1, 'v') },
        'the controller wants STARTED, 1 instance of version v, package STAGED, 256 MB',
      ],
      [{ was: 'x', is: 'of a newer release' }, 'the desired state changed'],
    ],
    gone: [
      [{ listedMs: NOW - 60 * S }, 'the controller no longer lists the app (last listed at 15:13:56)'],
      [{}, 'the controller no longer lists the app'],
    ],
    listed: [[{}, 'the controller lists the app again']],
    removed: [[{}, 'its record was removed because it is not desired and no instance runs']],
    first_seen: [[{}, 'first seen']],
    first_listed: [
      [
        { indices: [0, 1, 2, 5], dea: 'dea-7', now: 'RUNNING' },
        'indices 0 to 2 and 5 first listed by dea-7 (RUNNING now)',
      ],
      [{ indices: [2], dea: 'dea-7', state: 'CRASHED' }, 'dea-7 first listed index 2 as CRASHED'],
    ],
    unlisted: [
      [
        { indices: [2], dea: 'dea-7', state: 'RUNNING' },
        'dea-7 listed index 2 (RUNNING) for the last time; its next heartbeat did not list it',
      ],
    ],
    silent: [
      [
        { indices: [0, 2], dea: 'dea-7', state: 'RUNNING' },
        'last heartbeat of dea-7; indices 0 and 2 ran there',
      ],
    ],
  };
  for (const [kind, cases] of Object.entries(sentences)) {
    test.each(cases)(`${kind} %j`, (more, text) => {
      expect(story([{ ...entry('start'), kind: kind as FactKind, ...more }])).toEqual([text]);
    });
  }

  test('a kind that only a newer release writes is rendered as JSON', () => {
    const [line] = story([entry('moved' as LogKind, { index: 2 })]);
    expect(line).toMatch(/^moved: \{.*"index":2/);
  });
});
