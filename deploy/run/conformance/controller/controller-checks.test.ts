import { beforeEach, describe, expect, test } from 'vitest';
import { BusChecks } from '../bus-checks.ts';
import { type Finding, Findings } from '../findings.ts';
import { BulkPass, comparePasses } from './bulk-checks.ts';

const NOW_S = Date.UTC(2026, 0, 1) / 1000;
const ENTRY = {
  ...{ id: 'app', instances: 2, state: 'STARTED', memory: 256, package_state: 'STAGED' },
  ...{ updated_at: '2014-04-15T15:14:56+00:00', version: 'v1' },
};

let findings: Findings;
beforeEach(() => {
  findings = new Findings();
});

const options = () => ({
  ...{ who: 'cc:80', maxApps: 3, report: findings.of('controller'), nowS: () => NOW_S },
});
const body = (results: unknown, token?: unknown) =>
  Buffer.from(JSON.stringify({ results, bulk_token: token }));
const one = (kind: string, detail: string, more: object = {}) => [
  expect.objectContaining({ kind, detail: expect.stringContaining(detail), ...more }),
];
const list = (): Finding[] => findings.list();

/** Reads these pages to the end. */
function pass(...pages: Buffer[]): BulkPass {
  const reading = new BulkPass(options());
  for (const page of pages) if (reading.page(page) === undefined) break;
  return reading;
}

describe('a conforming bulk API', () => {
  test.each<[string, Buffer[]]>([
    ['of HM 2.0: pages to an empty one', [body({ app: ENTRY }, { id: 1 }), body({}, { id: 1 })]],
    ['of 2014: all on one page, the token null', [body({ app: ENTRY }, { id: null })]],
    [
      'of 2016: without updated_at and memory',
      [body({ app: { ...ENTRY, updated_at: undefined, memory: undefined } }, { id: 0 })],
    ],
    ['whose last page has no results', [body({ app: ENTRY }, 'x'), Buffer.from('{}')]],
    ['without apps', [body({}, {})]],
  ])('%s', (_, pages) => {
    expect(pass(...pages).isComplete).toBe(true);
    expect(list()).toEqual([]);
  });

  test.each([
    '2014-04-15 15:14:56 UTC',
    '2014-04-15 15:14:56 +0800',
    '2014/04/15 15:14:56 +0000',
    '2014-04-15T15:14:56Z',
  ])('the date %s', (updated_at) => {
    pass(body({ app: { ...ENTRY, updated_at } }, { id: null }));
    expect(list()).toEqual([]);
  });
});

describe('entries', () => {
  test.each<[object, string, string]>([
    [{ state: 'started' }, 'entry_rejected', 'state'],
    [{ instances: '2' }, 'entry_rejected', 'instances'],
    [{ version: undefined }, 'entry_rejected', 'version'],
    [{ package_state: 'DONE' }, 'entry_rejected', 'package_state'],
    [{ updated_at: 'yesterday' }, 'entry_rejected', 'updated_at'],
    [{ updated_at: 1_398_000_000 }, 'entry_rejected', 'updated_at'],
    [{ updated_at: '2027-04-15T15:14:56Z' }, 'odd_date', 'ahead'],
    [{ updated_at: '1970-01-01T00:00:00Z' }, 'odd_date', 'before 2010'],
    [{ updated_at: '2014-04-15 15:14:56' }, 'odd_date', 'no time zone'],
    [{ updated_at: 'Tue, 15 Apr 2014 15:14:56 GMT' }, 'odd_date', 'form'],
    [{ memory: '256M' }, 'ignored_field', 'memory'],
    [{ id: 'other' }, 'ignored_field', 'id'],
    [{ updated_at: undefined, update_at: '2014' }, 'misspelt_field', 'updated_at'],
  ])('%j', (change, kind, detail) => {
    pass(body({ app: { ...ENTRY, ...change } }, { id: null }));
    expect(list()).toEqual(one(kind, detail, { who: 'cc:80', example: expect.stringContaining('app') }));
  });

  test('one that is rejected does not hide the others', () => {
    const reading = pass(body({ bad: {}, app: ENTRY }, { id: null }));
    expect(list()).toEqual(one('entry_rejected', 'state'));
    expect([...reading.apps.keys()]).toEqual(['bad', 'app']);
  });
});

describe('pages', () => {
  test.each<[string, Buffer[], string, string]>([
    ['no JSON', [Buffer.from('<html>')], 'bulk_failed', 'json'],
    ['an error as JSON', [Buffer.from('{"error":"x"}')], 'bulk_failed', 'results'],
    ['no token', [body({ app: ENTRY })], 'bulk_failed', 'bulk_token'],
    ['the first token again', [body({ app: ENTRY }, {})], 'token_repeats', 'earlier'],
    [
      'the same token twice',
      [body({ a: ENTRY }, { id: 1 }), body({ b: ENTRY }, { id: 1 })],
      'token_repeats',
      'earlier',
    ],
    [
      'too many apps',
      [body({ a: ENTRY, b: ENTRY, c: ENTRY, d: ENTRY }, { id: 1 })],
      'bulk_failed',
      'max_apps',
    ],
  ])('%s', (_, pages, kind, detail) => {
    expect(pass(...pages).isComplete).toBe(false);
    expect(list().filter(({ kind: found }) => found !== 'ignored_field')).toEqual(one(kind, detail));
  });

  test('an app on two pages', () => {
    pass(body({ app: ENTRY }, { id: 1 }), body({ app: ENTRY }, { id: null }));
    expect(list()).toEqual(one('listed_twice', 'two pages', { example: 'app' }));
  });
});

describe('two readings', () => {
  const compare = (first: unknown, second: unknown, updated: string[] = []) => {
    const passes = [first, second].map((results) => pass(body(results, { id: null }))) as [
      BulkPass,
      BulkPass,
    ];
    comparePasses(...passes, new Set(updated), options());
    return list();
  };
  const other = { ...ENTRY, id: 'other' };

  test('that are equal', () => {
    expect(compare({ app: ENTRY }, { app: ENTRY })).toEqual([]);
  });

  test('of an app that changed, with and without droplet.updated', () => {
    expect(compare({ app: ENTRY }, { app: { ...ENTRY, instances: 3 } }, ['app'])).toEqual([]);
    expect(compare({ app: ENTRY }, { app: { ...ENTRY, instances: 3 } })).toEqual(
      one('unannounced_change', 'changed'),
    );
  });

  test('of an app that was deleted without droplet.updated', () => {
    expect(compare({ app: ENTRY, other }, { app: ENTRY })).toEqual(
      one('unannounced_change', '', { example: 'other' }),
    );
  });

  test('in another order', () => {
    expect(compare({ app: ENTRY, other }, { other, app: ENTRY })).toEqual(one('unsteady_page', 'order'));
  });
});

describe('messages', () => {
  test.each<[string, unknown, string | undefined, string, string]>([
    ['droplet.updated', {}, undefined, 'message_rejected', 'droplet'],
    ['droplet.updated', { droplet: 'a', cc_partition: 5 }, undefined, 'message_rejected', 'cc_partition'],
    ['healthmanager.status', { droplet: 'a', state: 'LOST' }, 'reply', 'message_rejected', 'state'],
    ['healthmanager.health', { droplets: [{ droplet: 'a' }] }, 'reply', 'entry_rejected', 'version'],
    ['healthmanager.droplet', { droplets: [{ droplet: 'a' }] }, undefined, 'no_reply_subject', 'published'],
    ['app.state', { droplet: 'a' }, 'reply', 'message_rejected', 'version'],
    ['app.state.bulk', { droplets: [] }, 'reply', 'message_rejected', 'no list'],
  ])('%s %j', (subject, message, reply, kind, detail) => {
    const checks = new BusChecks({
      ...{ partition: 'default', dropletLostMs: 30_000, maxPayload: 1e6, findings, nowS: () => NOW_S },
    });
    checks.take(subject, { data: Buffer.from(JSON.stringify(message)), reply, atMs: 0 });
    expect(list()).toEqual(one(kind, detail, { who: subject, side: 'controller' }));
  });
});
