import fc from 'fast-check';
import { DateTime, FixedOffsetZone } from 'luxon';
import { describe, expect, it } from 'vitest';
import {
  isLastToken,
  parseBulkCredentials,
  parseBulkEntry,
  parseBulkPage,
  parseDate,
  parseUserCount,
} from './bulk.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const json = (value: unknown) => utf8(JSON.stringify(value));

const RAW = {
  id: 'd-1',
  instances: 3,
  state: 'STARTED',
  memory: 256,
  package_state: 'STAGED',
  updated_at: '2014-04-15T15:14:56+00:00',
  version: 'v-1',
};
const DESIRED = {
  state: 'STARTED',
  packageState: 'STAGED',
  instances: 3,
  version: 'v-1',
  memoryMb: 256,
  updatedAtS: 1_397_574_896,
};

describe('a page', () => {
  it('has results and a token', () => {
    const page = parseBulkPage(json({ results: { a: RAW, b: 5 }, bulk_token: { id: 7 } }));
    expect(page).toEqual({ ok: { results: { a: RAW, b: 5 }, ids: ['a', 'b'], token: { id: 7 } } });
  });

  it('has no ids if it is the last one', () => {
    expect(parseBulkPage(json({ results: {}, bulk_token: {} }))).toMatchObject({ ok: { ids: [] } });
  });

  it.each([[null], [0], ['x'], [[1]]])('may have any JSON as its token: %j', (token) => {
    const page = parseBulkPage(json({ results: { a: RAW }, bulk_token: token }));
    expect(page).toMatchObject({ ok: { token } });
  });

  it.each([
    [null, true],
    [{ id: null }, true],
    [{ id: 0 }, true],
    [{ id: 7 }, false],
    [{}, false],
    [{ id: 0, page: 3 }, false],
    ['x', false],
  ])('with the token %j is the last one: %s', (token, isLast) => {
    expect(isLastToken(token)).toBe(isLast);
  });

  it('may have an entry with the id __proto__', () => {
    const page = parseBulkPage(utf8(`{"results":{"__proto__":${JSON.stringify(RAW)}},"bulk_token":{}}`));
    if (!('ok' in page)) throw new Error('rejected');
    expect(page.ok.ids).toEqual(['__proto__']);
    const [id = ''] = page.ok.ids;
    expect(parseBulkEntry(id, page.ok.results[id])).toEqual({ ok: DESIRED });
  });

  it.each<[string, Uint8Array]>([
    ['json', utf8('<html>')],
    ['no object', utf8('[]')],
    ['encoding', Uint8Array.of(0xff)],
    ['results', json({ bulk_token: {} })],
    ['results', json({ results: [], bulk_token: {} })],
    ['results', json({})],
    ['results', json({ results: null, bulk_token: {} })],
    ['bulk_token', json({ results: { a: RAW } })],
  ])('is rejected for its %s', (reject, bytes) => {
    expect(parseBulkPage(bytes)).toEqual({ reject });
  });
});

describe('an entry', () => {
  it.each<[string, object, object]>([
    ['a started app', {}, {}],
    [
      'a stopped app',
      { state: 'STOPPED', package_state: 'PENDING' },
      { state: 'STOPPED', packageState: 'PENDING' },
    ],
    ['a failed package', { package_state: 'FAILED' }, { packageState: 'FAILED' }],
    ['no instances', { instances: 0 }, { instances: 0 }],
    ['no time', { updated_at: undefined }, { updatedAtS: undefined }],
    ['no memory', { memory: undefined }, { memoryMb: 0 }],
    ['bad memory', { memory: '1G' }, { memoryMb: 0 }],
    ['unknown fields', { more: {} }, {}],
  ])('is accepted: %s', (_, changes, expected) => {
    expect(parseBulkEntry('d-1', { ...RAW, ...changes })).toEqual({ ok: { ...DESIRED, ...expected } });
  });

  it.each<[string, unknown]>([
    ['state', undefined],
    ['state', 'started'],
    ['instances', '3'],
    ['instances', -1],
    ['instances', 1.5],
    ['instances', 65_537],
    ['instances', null],
    ['version', ''],
    ['version', null],
    ['version', 5],
    ['package_state', 'UNKNOWN'],
    ['updated_at', null],
    ['updated_at', 1_397_574_896],
    ['updated_at', 'yesterday'],
    ['updated_at', ''],
  ])('is rejected with the %s %j', (field, value) => {
    expect(parseBulkEntry('d-1', { ...RAW, [field]: value })).toEqual({ reject: field });
  });

  it('is rejected when its id is invalid or when it is no object', () => {
    expect(parseBulkEntry('', RAW)).toEqual({ reject: 'id' });
    expect(parseBulkEntry('a\nb', RAW)).toEqual({ reject: 'id' });
    for (const entry of [null, 5, 'x', []]) expect(parseBulkEntry('d-1', entry)).toEqual({ reject: 'entry' });
  });

  it('never makes the parser throw', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.dictionary(fc.constantFrom(...Object.keys(RAW)), fc.jsonValue()),
        (id, entry) => {
          parseBulkEntry(id, entry);
        },
      ),
    );
  });
});

describe('a date is parsed', () => {
  it.each([
    ['2014-04-15T15:14:56+00:00', 1_397_574_896],
    ['2014-04-15T15:14:56Z', 1_397_574_896],
    ['2014-04-15 15:14:56 UTC', 1_397_574_896],
    ['2014-04-15 15:14:56 GMT', 1_397_574_896],
    ['2014-04-15 15:14:56 +0000', 1_397_574_896],
    ['2014/04/15 15:14:56 +0000', 1_397_574_896],
    ['2014/04/15 15:14:56 +0800', 1_397_546_096],
    ['2014-04-15 15:14:56 +0800', 1_397_546_096],
    ['2014-04-15T15:14:56-05:30', 1_397_594_696],
    ['2014-04-15T15:14:56.789Z', 1_397_574_896],
    ['2014-04-15 15:14:56', 1_397_574_896],
    [' 2014-04-15T15:14:56 ', 1_397_574_896],
    ['2014-04-15T15:14Z', 1_397_574_840],
    ['2014-04-15', 1_397_520_000],
    ['20140415T151456Z', 1_397_574_896],
    ['Tue, 15 Apr 2014 15:14:56 GMT', 1_397_574_896],
    ['Tue, 15 Apr 2014 15:14:56 +0800', 1_397_546_096],
    ['2014-04-15 15:14:56 America/New_York', 1_397_589_296],
    ['2016-02-29T00:00:00Z', 1_456_704_000],
  ])('%s', (text, expected) => {
    expect(parseDate(text)).toBe(expected);
  });

  it.each([
    '',
    'soon',
    '2014-02-30T00:00:00Z',
    '2014-04-31T00:00:00Z',
    '2014/04-15 15:14:56 +0000',
    `2014-04-15T15:14:56Z${' '.repeat(50)}`,
    `2014-${'0'.repeat(200_000)}`,
    '2014-00-10T00:00:00Z',
    '2014-04-00T00:00:00Z',
    '2014-13-01T00:00:00Z',
    '2014-04-15T25:00:00Z',
    '2015-02-29T00:00:00Z',
    '15:14',
  ])('but not: %j', (text) => {
    expect(parseDate(text)).toBeUndefined();
  });

  it('as luxon parses it', () => {
    const instant = fc.date({
      min: new Date('1970-01-02T00:00:00Z'),
      max: new Date('2100-01-01T00:00:00Z'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(instant, fc.integer({ min: -14 * 60, max: 14 * 60 }), (date, offset) => {
        const text = DateTime.fromJSDate(date).setZone(FixedOffsetZone.instance(offset)).toISO() ?? '';
        expect(parseDate(text)).toBe(Math.floor(date.getTime() / 1000));
      }),
    );
  });
});

describe('the reply to the request for', () => {
  it('credentials', () => {
    expect(parseBulkCredentials(json({ user: 'u', password: 'p' }))).toEqual({
      ok: { user: 'u', password: 'p' },
    });
    expect(parseBulkCredentials(json({ password: 'p' }))).toEqual({ reject: 'user' });
    expect(parseBulkCredentials(json({ user: 'u', password: 5 }))).toEqual({ reject: 'password' });
    expect(parseBulkCredentials(utf8(''))).toEqual({ reject: 'json' });
  });

  it('the number of users', () => {
    expect(parseUserCount(json({ counts: { user: 42 } }))).toEqual({ ok: 42 });
    for (const counts of [undefined, {}, { user: '42' }, { user: -1 }, { user: 0.5 }]) {
      expect(parseUserCount(json({ counts }))).toEqual({ reject: 'counts' });
    }
  });
});
