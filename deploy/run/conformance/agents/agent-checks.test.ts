import { describe, expect, test } from 'vitest';
import { DEA, ENTRY, EXIT, NOW_S, one, useAgents } from './testing/agent-fixture.ts';

const agents = useAgents();
const { send, heartbeat, beat, found } = agents;

test('a conforming agent: heartbeats, a crash, an evacuation, its end', () => {
  const other = { ...ENTRY, instance: 'i-2', index: 1 };
  beat([ENTRY, other]);
  beat([ENTRY, other]);
  send('droplet.exited', EXIT);
  beat([{ ...ENTRY, state: 'CRASHED', state_timestamp: NOW_S }, other]);
  send('droplet.exited', { ...EXIT, ...other, reason: 'DEA_EVACUATION', crash_timestamp: undefined });
  beat([{ ...other, state: 'EVACUATING', state_timestamp: NOW_S }]);
  send('dea.shutdown', { id: DEA, ip: '10.0.0.1', version: '0.0.1', app_id_to_count: { app: 1 } });
  beat([]);
  agents.atMs += 60_000;
  expect(found()).toEqual([]);
  expect(agents.checks.counts).toMatchObject({ agents: 1, heartbeats: 5, equal: 1, exits: 2 });
});

test('a silent bus is a finding', () => {
  expect(found()).toEqual(one('nothing_heard', 'dea.heartbeat'));
});

describe('entries', () => {
  test.each<[string, object, string, string, string | undefined]>([
    ['a time that is no number', { state_timestamp: 'now' }, 'entry_rejected', 'state_timestamp', '"now"'],
    ['an index below 0', { index: -1 }, 'entry_rejected', 'index', '-1'],
    ['no version', { version: undefined }, 'entry_rejected', 'version', 'missing'],
    ['a control character', { droplet: 'a\nb' }, 'entry_rejected', 'droplet', '"a\\nb"'],
    ['a state in small letters', { state: 'running' }, 'unknown_state', '"running"', 'i-1'],
    ['milliseconds', { state_timestamp: NOW_S * 1000 }, 'odd_time', 'milliseconds', undefined],
    ['a clock that is ahead', { state_timestamp: NOW_S + 3_600 }, 'odd_time', 'ahead', undefined],
    ['no time', { state_timestamp: 0 }, 'odd_time', 'before 2010', undefined],
    [
      'a misspelt partition',
      { cc_partition: undefined, cc_partion: 'x' },
      'misspelt_field',
      'cc_partition',
      undefined,
    ],
  ])('%s', (_, change, kind, detail, example) => {
    heartbeat([{ ...ENTRY, ...change }]);
    heartbeat([{ ...ENTRY, ...change }]);
    expect(found()).toEqual(
      one(kind, detail, { who: DEA, count: 1, ...(example !== undefined && { example }) }),
    );
  });

  test.each(['RESUMING', 'STOPPED', 'EVACUATING', 'STARTING'])('the state %s is known', (state) => {
    heartbeat([{ ...ENTRY, state }]);
    expect(found()).toEqual([]);
  });

  test('of another partition are counted, and are no finding', () => {
    heartbeat([{ ...ENTRY, cc_partition: 'other' }, ENTRY]);
    expect(found()).toEqual([]);
    expect(agents.checks.counts.foreign).toBe(1);
  });

  test('one guid twice in a heartbeat', () => {
    heartbeat([ENTRY, ENTRY]);
    expect(found()).toEqual(one('listed_twice', 'instance', { example: 'i-1' }));
  });

  test('a guid that changes its version', () => {
    heartbeat([ENTRY]);
    heartbeat([{ ...ENTRY, version: 'v2' }]);
    expect(found()).toEqual(one('identity_changed', 'version', { example: 'i-1' }));
  });

  test('an instance of another agent, but not of one that no longer lists it', () => {
    heartbeat([ENTRY]);
    heartbeat([ENTRY], 'dea-2');
    expect(found()).toEqual(one('instance_of_other', DEA, { who: 'dea-2' }));
  });

  test('an instance that its old agent no longer lists may move', () => {
    heartbeat([ENTRY]);
    send('droplet.exited', { ...EXIT, reason: 'STOPPED', crash_timestamp: undefined });
    heartbeat([]);
    heartbeat([ENTRY], 'dea-2');
    expect(found()).toEqual([]);
  });
});

describe('messages', () => {
  test.each<[string, string, unknown, string, string]>([
    ['dea.heartbeat', 'no JSON', '{', 'message_rejected', 'json'],
    ['dea.heartbeat', 'no list', { dea: DEA }, 'message_rejected', 'droplets'],
    ['dea.heartbeat', 'no dea', { droplets: [] }, 'message_rejected', 'dea'],
    ['dea.heartbeat', 'dea first', `{"dea":"${DEA}","droplets":[]}`, 'dea_not_last', 'last'],
    ['dea.shutdown', 'no id', {}, 'message_rejected', 'id'],
    ['droplet.exited', 'no reason', { ...EXIT, reason: undefined }, 'exit_without_reason', 'missing'],
    ['droplet.exited', 'an empty reason', { ...EXIT, reason: '' }, 'exit_without_reason', 'missing'],
    ['droplet.exited', 'an unknown reason', { ...EXIT, reason: 'BORED' }, 'message_rejected', 'reason'],
    ['droplet.exited', 'no instance', { ...EXIT, instance: undefined }, 'message_rejected', 'instance'],
    ['droplet.exited', 'a status as text', { ...EXIT, exit_status: '1' }, 'ignored_field', 'exit_status'],
    ['droplet.exited', 'a long text', { ...EXIT, exit_description: 'x'.repeat(201) }, 'ignored_field', '200'],
    ['droplet.exited', 'a time in ms', { ...EXIT, crash_timestamp: NOW_S * 1e3 }, 'odd_time', 'milliseconds'],
    [
      'droplet.exited',
      'a crash time of a stop',
      { ...EXIT, reason: 'STOPPED' },
      'ignored_field',
      'crash_timestamp',
    ],
    [
      'droplet.exited',
      'a misspelt field',
      { ...EXIT, exit_status: undefined, exitstatus: 1 },
      'misspelt_field',
      'exit_status',
    ],
    [
      'dea.heartbeat',
      'a large one',
      { droplets: [ENTRY], padding: 'x'.repeat(6_000), dea: DEA },
      'large_message',
      'max_payload',
    ],
  ])('%s: %s', (subject, _, message, kind, detail) => {
    if (subject !== 'dea.heartbeat') heartbeat([]);
    send(subject, message);
    expect(found()).toEqual(one(kind, detail));
  });

  test('an exit names its agent where that is known', () => {
    heartbeat([ENTRY]);
    send('droplet.exited', { ...EXIT, reason: null });
    expect(found()).toEqual(one('exit_without_reason', 'reason', { who: DEA }));
  });

  test('equal findings are counted', () => {
    for (let n = 0; n < 3; n++) send('dea.heartbeat', `{"dea":"${DEA}","droplets":[]}`);
    expect(found()).toEqual(one('dea_not_last', 'last', { count: 3 }));
  });
});

describe('a heartbeat that changes although nothing changed', () => {
  const other = { ...ENTRY, instance: 'i-2', index: 1 };
  test.each<[string, unknown, unknown, string]>([
    ['the order', [ENTRY, other], [other, ENTRY], 'order'],
    ['the time', [ENTRY], [{ ...ENTRY, state_timestamp: NOW_S }], 'state_timestamp'],
    ['another field', [ENTRY], [{ ...ENTRY, cpu: 0.5 }], 'other fields'],
  ])('%s', (_, before, now, detail) => {
    heartbeat(before as unknown[]);
    heartbeat(now as unknown[]);
    expect(found()).toEqual(one('unsteady_heartbeat', detail));
  });

  test('a change of state is none', () => {
    heartbeat([{ ...ENTRY, state: 'STARTING' }]);
    heartbeat([{ ...ENTRY, state_timestamp: NOW_S }]);
    expect(found()).toEqual([]);
  });
});
