import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { beginPass } from './begin-pass.ts';
import { reportPass } from './report-pass.ts';
import { storePages } from './store-pages.ts';

const of = useRedis();
const redis = () => of.context.redis;

describe('passes of the sync', () => {
  const state = () => redis().keys.syncState;
  const begin = (nowMs: number, owner = 'a') => beginPass(redis(), { nowMs, owner });
  const report = (pass: string, hash: string, fields: Record<string, string>) =>
    reportPass(redis(), { pass, hash, fields });

  test('each has a larger number than all before it, also after a loss of data', async () => {
    expect(await begin(1000)).toBe('1000');
    expect(await begin(1000)).toBe('1001');
    expect(await begin(900, 'b')).toBe('1002');
    expect(await redis().client.hgetall(state())).toEqual({ pass: '1002', begun: '900', owner: 'b' });
    await redis().client.flushall();
    expect(Number(await begin(2000))).toBe(2000);
    expect(await begin(1_700_000_000_000)).toBe('1700000000000');
  });

  test('only the latest may report; an empty value removes the field', async () => {
    const first = await begin(1000);
    expect(await report(first, state(), { failed: '1', error: 'x' })).toBe('reported');
    expect(await report(first, redis().keys.holds, { mass_delete: '{}' })).toBe('reported');
    const second = await begin(2000);
    expect(await report(first, state(), { completed: '1000' })).toBe('superseded');
    expect(await report(second, state(), { completed: '2000', error: '' })).toBe('reported');
    expect(await redis().client.hgetall(state())).toEqual({
      pass: '2000',
      begun: '2000',
      owner: 'a',
      failed: '1',
      completed: '2000',
    });
    expect(await redis().client.hgetall(redis().keys.holds)).toEqual({ mass_delete: '{}' });
    await redis().client.flushall();
    expect(await report(second, state(), { completed: '2000' })).toBe('superseded');
    expect(await redis().client.hgetall(state())).toEqual({});
  });
});

describe('store_pages', () => {
  const page = (number: number, name: string) => ({
    number,
    sha1: name,
    token: `token ${name}`,
    count: 2,
    rejected: 0,
    ids: `ids ${name}`,
    entries: Buffer.from(`entries ${name}`),
  });

  test('pages and the set of missing droplets change together', async () => {
    const { client, keys } = redis();
    await client.set(keys.syncPass, 1);
    const first = { pass: '1', pages: [page(1, 'a'), page(2, 'b')], missing: ['x', 'y'] };
    expect(await storePages(redis(), first)).toBe('stored');
    expect(await client.hgetall(keys.syncPage(2))).toEqual({
      sha1: 'b',
      token: 'token b',
      count: '2',
      rejected: '0',
      ids: 'ids b',
      entries: 'entries b',
    });
    const second = { pass: '1', pages: [page(1, 'a2')], removed: [2], missing: ['z'], found: ['x'] };
    for (let time = 0; time < 2; time++) {
      expect(await storePages(redis(), second)).toBe('stored');
      expect((await client.smembers(keys.syncMissing)).sort()).toEqual(['y', 'z']);
      expect(await client.hget(keys.syncPage(1), 'sha1')).toBe('a2');
      expect(await client.exists(keys.syncPage(2))).toBe(0);
    }
  });

  test('a pass that may not write changes nothing', async () => {
    const { client, keys } = redis();
    await client.set(keys.syncPass, 2);
    const late = { pass: '1', pages: [page(1, 'a')], missing: ['x'] };
    expect(await storePages(redis(), late)).toBe('superseded');
    expect(await client.exists(keys.syncPage(1), keys.syncMissing)).toBe(0);
  });
});
