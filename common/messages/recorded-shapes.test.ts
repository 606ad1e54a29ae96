/**
 * The contract as its other side kept it: the shapes of messages that controllers and DEAs of 2012 to 2017 sent, with the fields
 * and types that each had. Guids, addresses and times are made up.
 */
import { describe, expect, test } from 'vitest';
import { isLastToken, parseBulkEntry, parseBulkPage } from './bulk.ts';
import { parseExited, parseHeartbeat, parseShutdown, parseUpdated } from './incoming/incoming.ts';

const bytes = (text: string) => Buffer.from(text);
const APP = '1f8f7b1c-9e2c-4d55-8d1f-6f1d5b1a0c55';
const VERSION = '5f2c5c0e-6a0a-4a3e-8f55-0f6f2a8f2a7d';
const GUID = '0d3c52d9e5e64a4a9d6a1d3c8b7e5f21';
const SLOT = { droplet: APP, version: VERSION, instance: GUID, index: 0 };
const fields = `"cc_partition":"default","droplet":"${APP}","version":"${VERSION}","instance":"${GUID}","index":0`;

describe('droplet.exited', () => {
  test.each<[string, string, object]>([
    [
      'crashed, with the time of the crash',
      `{${fields},"reason":"CRASHED","exit_status":255,"exit_description":"app instance exited","crash_timestamp":1382000000}`,
      { reason: 'CRASHED', status: 255, description: 'app instance exited', crashTimestampS: 1_382_000_000 },
    ],
    [
      'crashed out of memory, with a fraction',
      `{${fields},"reason":"CRASHED","exit_status":137,"exit_description":"out of memory","crash_timestamp":1398000000.25}`,
      { reason: 'CRASHED', status: 137, description: 'out of memory', crashTimestampS: 1_398_000_000.25 },
    ],
    [
      'failed to start: no status, and the time is null',
      `{${fields},"reason":"CRASHED","exit_status":null,"exit_description":"failed to accept connections within health check timeout","crash_timestamp":null}`,
      { reason: 'CRASHED', description: 'failed to accept connections within health check timeout' },
    ],
    [
      'crashed, without the time',
      `{${fields},"reason":"CRASHED","exit_status":-1,"exit_description":""}`,
      { reason: 'CRASHED', status: -1 },
    ],
    [
      'stopped',
      `{${fields},"reason":"STOPPED","exit_status":0,"exit_description":"","crash_timestamp":null}`,
      { reason: 'STOPPED', status: 0 },
    ],
    [
      'ended with its DEA',
      `{${fields},"reason":"DEA_SHUTDOWN","exit_status":-1,"exit_description":"shutdown"}`,
      { reason: 'DEA_SHUTDOWN', status: -1, description: 'shutdown' },
    ],
    [
      'evacuated, while it still runs',
      `{${fields},"reason":"DEA_EVACUATION","exit_status":null,"exit_description":null,"crash_timestamp":null}`,
      { reason: 'DEA_EVACUATION' },
    ],
  ])('%s', (_, text, expected) => {
    expect(parseExited(bytes(text), 'default')).toEqual({ ok: { ...SLOT, ...expected } });
  });
});

describe('dea.heartbeat', () => {
  const entry = (state: string, timestamp: string, more = '') =>
    `{${fields},"state":"${state}","state_timestamp":${timestamp}${more}}`;

  test.each<[string, string, string]>([
    ['a whole second', 'RUNNING', '1382000000'],
    ['a fraction', 'RUNNING', '1398000000.1234567'],
    ['a crash record', 'CRASHED', '1398000000.5'],
    ['evacuating', 'EVACUATING', '1411000000.9'],
    ['a state of a restarted DEA', 'RESUMING', '1411000000'],
  ])('%s', (_, state, timestamp) => {
    const text = `{"droplets":[${entry(state, timestamp)}],"dea":"0-${GUID}"}`;
    expect(parseHeartbeat(bytes(text), 'default')).toEqual({
      ok: {
        dea: `0-${GUID}`,
        entries: [{ ...SLOT, state, stateTimestampS: Number(timestamp) }],
        rejected: [],
      },
    });
  });

  test('with fields that only later DEAs have, and with no instance', () => {
    const text = `{"droplets":[${entry('RUNNING', '1490000000', ',"syslog_drain_urls":[],"labels":{}')}],"dea":"0-a","prod":true}`;
    expect(parseHeartbeat(bytes(text), 'default')).toMatchObject({ ok: { rejected: [], entries: [SLOT] } });
    const empty = '{"droplets":[],"dea":"0-a"}';
    expect(parseHeartbeat(bytes(empty), 'default')).toEqual({
      ok: { dea: '0-a', entries: [], rejected: [] },
    });
  });
});

test('dea.shutdown', () => {
  const text = `{"id":"0-${GUID}","ip":"10.0.16.4","version":"0.0.1","app_id_to_count":{"${APP}":2}}`;
  expect(parseShutdown(bytes(text))).toEqual({ ok: { dea: `0-${GUID}` } });
});

test.each([`{"droplet":"${APP}","cc_partition":"default"}`, `{"droplet":"${APP}"}`])(
  'droplet.updated: %s',
  (text) => {
    expect(parseUpdated(bytes(text), 'default')).toEqual({ ok: { droplet: APP } });
  },
);

describe('the bulk API', () => {
  const page = (results: string, token: string) =>
    parseBulkPage(bytes(`{"results":{${results}},"bulk_token":${token}}`));
  const desired = { state: 'STARTED', packageState: 'STAGED', instances: 2, version: VERSION };

  test.each<[string, string, object]>([
    [
      '2012: all apps, a date with a zone',
      `{"id":"${APP}","instances":2,"state":"STARTED","memory":256,"package_state":"STAGED","updated_at":"2012-11-05 22:10:01 -0800","version":"${VERSION}"}`,
      { memoryMb: 256, updatedAtS: 1_352_182_201 },
    ],
    [
      '2014: a date with slashes, as Ruby of that time encodes it',
      `{"id":"${APP}","instances":2,"state":"STARTED","memory":1024,"package_state":"STAGED","updated_at":"2014/04/15 15:14:56 +0000","version":"${VERSION}"}`,
      { memoryMb: 1024, updatedAtS: 1_397_574_896 },
    ],
    [
      '2015: an ISO date',
      `{"id":"${APP}","instances":2,"state":"STARTED","memory":512,"package_state":"STAGED","updated_at":"2015-06-01T00:00:00Z","version":"${VERSION}"}`,
      { memoryMb: 512, updatedAtS: 1_433_116_800 },
    ],
    [
      '2016: only what is compared',
      `{"id":"${APP}","instances":2,"state":"STARTED","package_state":"STAGED","version":"${VERSION}"}`,
      { memoryMb: 0, updatedAtS: undefined },
    ],
  ])('an entry of %s', (_, entry, expected) => {
    const parsed = page(`"${APP}":${entry}`, '{"id":1}');
    if (!('ok' in parsed)) throw new Error(parsed.reject);
    expect(parseBulkEntry(APP, parsed.ok.results[APP])).toEqual({ ok: { ...desired, ...expected } });
  });

  test('the tokens of its last pages', () => {
    for (const token of ['{"id":null}', '{"id":0}']) {
      const parsed = page('', token);
      expect('ok' in parsed && isLastToken(parsed.ok.token)).toBe(true);
    }
  });
});
