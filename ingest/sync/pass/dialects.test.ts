/** Bulk API replies of controllers and proxies as they are found in the field. */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { metricValue, testContext } from '../../../common/testing/context.ts';
import { ids, testSync, useSync } from '../../../deploy/verify/fixtures/sync.ts';

const fixture = useSync();

/** On the same Redis and clock, for a sync with other options. */
const secondContext = () =>
  testContext({
    redis: fixture.server,
    settings: { slices: 4 },
    lifecycle: fixture.context.lifecycle,
    clock: fixture.context.clock,
  });

describe('a compressed reply', () => {
  test('is not asked for', async () => {
    fixture.put(1);
    await fixture.sync.pass();
    expect(fixture.cc.acceptEncoding).toBe('identity');
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const)('by a proxy (%s) is unpacked', async (encoding, compress) => {
    fixture.put(4);
    fixture.cc.faults.encoding = { name: encoding, encode: compress };
    expect(await fixture.sync.pass()).toBe('complete');
    expect((await fixture.droplet('app-3')).desired?.instances).toBe(1);
  });

  test('that unpacks to more than the bound fails the pass', async () => {
    fixture.put(4);
    fixture.cc.faults.encoding = { name: 'gzip', encode: gzipSync };
    fixture.cc.faults.padding = 1_000_000;
    const sync = testSync(await secondContext(), fixture.cc, { maxBodyBytes: 100_000 });
    expect(await sync.pass()).toBe('failed');
    expect((await fixture.state()).error).toMatch(/body larger than 100000 bytes/);
  });

  test('in an unknown encoding names the encoding', async () => {
    fixture.put(1);
    fixture.cc.faults.encoding = { name: 'zstd', encode: (body) => body };
    expect(await fixture.sync.pass()).toBe('failed');
    expect((await fixture.state()).error).toMatch(/content-encoding: expected .*, found zstd/);
  });

  test('that is not what its header states names the encoding', async () => {
    fixture.put(1);
    fixture.cc.faults.encoding = { name: 'gzip', encode: (body) => body };
    expect(await fixture.sync.pass()).toBe('failed');
    expect((await fixture.state()).error).toMatch(/content-encoding gzip/);
  });
});

describe('the last page', () => {
  test.each([
    ['an object without results', '{"bulk_token":{"id":9}}'],
    ['null results', '{"results":null,"bulk_token":{"id":9}}'],
    ['an empty object', '{}'],
    ['a token that is null', '{"results":{},"bulk_token":{"id":null}}'],
    ['a token that is a string', '{"results":{},"bulk_token":"end"}'],
    ['no token', '{"results":{}}'],
  ])('may be %s', async (_, last) => {
    fixture.put(4);
    fixture.cc.faults.lastPage = last;
    expect(await fixture.sync.pass()).toBe('complete');
    expect((await fixture.state()).listed).toBe('4');
  });

  test.each([
    ['an object without results', '{"bulk_token":{}}'],
    ['an empty object', '{}'],
    ['an error', '{"error_code":"UnknownError"}'],
  ])('may not be %s where no page came before', async (_, last) => {
    fixture.put(4);
    await fixture.sync.pass();
    fixture.cc.clear();
    fixture.cc.faults.lastPage = last;
    expect(await fixture.sync.pass()).toBe('failed');
    expect(await fixture.goneIds(ids(4))).toEqual([]);
  });

  test('may not be an error', async () => {
    fixture.put(4);
    fixture.cc.faults.lastPage = '{"error_code":"UnknownError"}';
    expect(await fixture.sync.pass()).toBe('failed');
  });
});

describe('a token', () => {
  test.each([['{"id":null}'], ['{"id":0}'], ['null']])('of %s ends the list', async (token) => {
    fixture.put(3);
    fixture.cc.faults.token = token;
    expect(await fixture.sync.pass()).toBe('complete');
    expect((await fixture.state()).listed).toBe('3');
    expect(await fixture.sync.pass()).toBe('complete');
  });

  test.each([['"after-app-2"'], ['17'], ['["a",1]']])('may be any JSON: %s', async (token) => {
    fixture.put(3);
    fixture.cc.faults.token = token;
    fixture.cc.faults.lastPage = '{"results":{},"bulk_token":{}}';
    expect(await fixture.sync.pass()).toBe('complete');
    expect((await fixture.state()).listed).toBe('3');
  });

  test('that advances for ever ends the pass at the bound of apps', async () => {
    fixture.cc.faults.endless = true;
    const context = await secondContext();
    const sync = testSync(context, fixture.cc);
    sync.deps.maxApps = 30;
    expect(await sync.pass()).toBe('failed');
    expect((await fixture.state()).error).toMatch(/expected at most 30 apps.*bulk_api\.max_apps/);
    expect(Number(await fixture.context.redis.client.dbsize())).toBeLessThan(120);
    expect(await metricValue(context.metrics, 'hm_sync_passes_total', { outcome: 'failed' })).toBe(1);
  });

  test('that advances slowly ends the pass at the bound of time', async () => {
    fixture.cc.faults.endless = true;
    fixture.cc.beforePage = () => void fixture.context.clock.advance(60_000);
    expect(await fixture.sync.pass()).toBe('failed');
    expect((await fixture.state()).error).toMatch(/expected the end of the pass within 15 min/);
  });
});
