import { beforeEach, describe, expect, test } from 'vitest';
import { BusChecks } from '../bus-checks.ts';
import { type Finding, Findings } from '../findings.ts';

const NOW_S = 1_700_000_000;
const MAX_PAYLOAD = 10_000;
const DEA = 'dea-1';
const ENTRY = {
  ...{ cc_partition: 'default', droplet: 'app', version: 'v1', instance: 'i-1', index: 0 },
  ...{ state: 'RUNNING', state_timestamp: NOW_S - 100 },
};
const EXIT = {
  ...{ cc_partition: 'default', droplet: 'app', version: 'v1', instance: 'i-1', index: 0 },
  ...{ reason: 'CRASHED', exit_status: 1, exit_description: '', crash_timestamp: NOW_S },
};

let findings: Findings;
let checks: BusChecks;
let atMs: number;
beforeEach(() => {
  findings = new Findings();
  atMs = 0;
  checks = new BusChecks({
    ...{ partition: 'default', dropletLostMs: 30_000, maxPayload: MAX_PAYLOAD, findings },
    nowS: () => NOW_S,
  });
});

const bytes = (message: unknown) =>
  Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
const send = (subject: string, message: unknown) => checks.take(subject, { data: bytes(message), atMs });
const heartbeat = (droplets: unknown[], dea = DEA) => send('dea.heartbeat', { droplets, dea });
/** Also passes a heartbeat period. */
const beat = (droplets: unknown[], dea = DEA) => {
  heartbeat(droplets, dea);
  atMs += 10_000;
};
const found = (): Partial<Finding>[] => {
  checks.finish(atMs);
  return findings.list().map(({ side: _, level: __, ...finding }) => finding);
};
const one = (kind: string, detail: string | RegExp, more: object = {}) => [
  expect.objectContaining({ kind, detail: expect.stringMatching(detail), ...more }),
];

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
  atMs += 60_000;
  expect(found()).toEqual([]);
  expect(checks.counts).toMatchObject({ agents: 1, heartbeats: 5, equal: 1, exits: 2 });
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
    expect(checks.counts.foreign).toBe(1);
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

describe('intervals', () => {
  test.each([
    ['every 10 s', [10, 10, 10, 10], undefined],
    ['10 s late once', [10, 15, 10], undefined],
    ['every 14 s', [14, 14, 14], /one every 14 s/],
    ['one is missing', [10, 20, 10, 10], /none for 20 s/],
    ['silent for longer than droplet_lost', [10, 31, 10], /no heartbeat for 31 s/],
  ])('%s', (_, gaps, detail) => {
    heartbeat([]);
    for (const gapS of gaps) {
      atMs += gapS * 1000;
      heartbeat([]);
    }
    const kind = detail?.source.includes('no heartbeat') ? 'silent' : 'slow_heartbeats';
    expect(found()).toEqual(
      detail === undefined ? [] : [expect.objectContaining({ kind, detail: expect.stringMatching(detail) })],
    );
  });

  test('silence at the end counts, after dea.shutdown it does not', () => {
    heartbeat([], 'dies');
    heartbeat([], 'leaves');
    send('dea.shutdown', { id: 'leaves' });
    atMs += 40_000;
    expect(found()).toEqual(one('silent', '40 s', { who: 'dies' }));
  });

  test('a lost connection is no silence of the agents', () => {
    heartbeat([]);
    atMs += 60_000;
    checks.interrupt();
    heartbeat([]);
    expect(found()).toEqual([]);
  });

  test('healthmanager.start asks for a heartbeat at once', () => {
    heartbeat([], 'answers');
    heartbeat([], 'does not');
    atMs += 1_000;
    send('healthmanager.start', {});
    heartbeat([], 'answers');
    atMs += 8_000;
    heartbeat([], 'does not');
    expect(found()).toEqual(one('start_unanswered', '3 s', { who: 'does not' }));
  });
});

describe('an instance that ended without an exit', () => {
  test.each<[string, (() => void) | undefined]>([
    ['nothing was heard of it', undefined],
    [
      'an exit came',
      () => send('droplet.exited', { ...EXIT, reason: 'STOPPED', crash_timestamp: undefined }),
    ],
    ['health.stop named it', () => send('health.stop', { droplet: 'app', instances: { 'i-1': 'v1' } })],
    ['hm9000.stop named it', () => send('hm9000.stop', { droplet: 'app', instance_guid: 'i-1' })],
    ['its app was changed', () => send('droplet.updated', { droplet: 'app', cc_partition: 'default' })],
  ])('%s', (_, before) => {
    beat([ENTRY]);
    before?.();
    beat([]);
    const expected =
      before === undefined ? one('ended_without_exit', 'left the list', { who: DEA, example: 'i-1' }) : [];
    expect(found()).toEqual(expected);
  });

  test('it is listed as CRASHED', () => {
    beat([ENTRY]);
    beat([{ ...ENTRY, state: 'CRASHED' }]);
    expect(found()).toEqual(one('ended_without_exit', 'CRASHED'));
  });

  test('its exit may still be on its way', () => {
    beat([ENTRY]);
    heartbeat([]);
    expect(found()).toEqual([]);
  });
});
