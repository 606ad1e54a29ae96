import { beforeEach, expect, test } from 'vitest';
import { PIECES } from '../../../common/redis/keys.ts';
import { deas, desired, droplet, holds, NOW } from '../../../common/testing/builders.ts';
import { useRedis } from '../../../common/testing/context.ts';
import { decide } from '../../decide/decide.ts';
import { analyzerMetrics } from '../../metrics.ts';
import type { Evaluation } from '../../reconcile/evaluation.ts';
import { Audit } from './audit.ts';

const SLICES = 8;
const of = useRedis({ settings: { slices: SLICES } });
const EVERY_MS = 20_000;
let audited: string[];

beforeEach(() => {
  audited = [];
});

/** An audit whose reconciler notes the ids that it is to evaluate, and finds a healthy droplet for each. */
function audit(auditRate = 1_000_000): Audit {
  const { redis, clock, log, settings, metrics } = of.context;
  metrics.clear();
  const reconciler = {
    evaluate: async (ids: readonly string[]): Promise<Evaluation[]> => {
      audited.push(...ids);
      return ids.map((id) => {
        const healthy = droplet({ id, desired: desired({ state: 'STOPPED' }) });
        return {
          droplet: healthy,
          deas: deas(),
          nowMs: NOW,
          lostBeforeMs: NOW - policy.dropletLostMs,
          decided: decide(healthy, deas(), holds(), NOW, policy),
        };
      });
    },
    reconcile: async () => {},
  };
  const policy = { ...settings.policy, dropletsAnalysisMs: EVERY_MS };
  return new Audit({ redis, clock, log, metrics: analyzerMetrics(metrics), policy, reconciler, auditRate });
}

const all = Array.from({ length: SLICES }, (_, slice) => slice);

test('the first turn is a whole round', async () => {
  expect(await audit().nextSlices()).toEqual(all);
  expect(await audit().nextSlices()).toEqual([]);
});

test('a round takes droplets_analysis, also if another analyzer continues it', async () => {
  await audit().nextSlices();
  const turns: number[][] = [];
  for (let turn = 0; turn < 8; turn++) {
    of.context.clock.advance(EVERY_MS / SLICES);
    turns.push(await audit().nextSlices());
  }
  expect(turns).toEqual(all.map((slice) => [slice]));
});

test.each([
  ['audit_slice', 'text'],
  ['audit_slice', '-3'],
  ['audit_slice', 'Infinity'],
  ['audit_at', 'text'],
  ['audit_at', '999999999999999'],
])('the position %s that somebody edited to %s counts as missing', async (field, value) => {
  await audit().nextSlices();
  await of.context.redis.client.hset(of.context.redis.keys.scan, field, value);
  of.context.clock.advance(EVERY_MS);
  expect(await audit().nextSlices()).toEqual(all);
});

test('rare turns have more slices, also past the last slice, and none twice', async () => {
  await audit().nextSlices();
  of.context.clock.advance((6 * EVERY_MS) / SLICES);
  expect(await audit().nextSlices()).toEqual([0, 1, 2, 3, 4, 5]);
  of.context.clock.advance((4 * EVERY_MS) / SLICES);
  expect(await audit().nextSlices()).toEqual([0, 1, 6, 7]);
  of.context.clock.advance(10 * EVERY_MS);
  expect(await audit().nextSlices()).toEqual(all);
});

test('time that is not enough for a slice counts for the next turn', async () => {
  await audit().nextSlices();
  const step = EVERY_MS / SLICES / 4;
  const turns: number[][] = [];
  for (let turn = 0; turn < 8; turn++) {
    of.context.clock.advance(step);
    turns.push(await audit().nextSlices());
  }
  expect(turns.filter((slices) => slices.length > 0)).toEqual([[0], [1]]);
});

test('time left over after whole slices counts for the next turn', async () => {
  await audit().nextSlices();
  let slices = 0;
  for (let turn = 0; turn < 10; turn++) {
    of.context.clock.advance((1.95 * EVERY_MS) / SLICES);
    slices += (await audit().nextSlices()).length;
  }
  expect(slices).toBe(19);
});

/** About 1000 droplets in each slice, so that 90 a second in 20 s are not quite two slices. */
async function addThousandPerSlice(): Promise<void> {
  const { client, keys } = of.context.redis;
  const pipeline = client.pipeline();
  for (let n = 0; n < 1000 * SLICES; n++) pipeline.hset(keys.indexOf(`app-${n}`), `app-${n}`, '');
  await pipeline.exec();
}

async function turnsOf(slow: Audit): Promise<number[][]> {
  const turns: number[][] = [];
  for (let turn = 0; turn < 4; turn++) {
    turns.push(await slow.nextSlices());
    of.context.clock.advance(EVERY_MS);
  }
  return turns;
}

test('a large fleet is audited more slowly: audit_rate droplets a second', async () => {
  const { client, keys } = of.context.redis;
  await addThousandPerSlice();
  for (const slice of all) await client.hset(keys.summary(slice), 'droplets', 1000);
  expect(await turnsOf(audit(90))).toEqual([[0], [1, 2], [3, 4], [5, 6]]);
});

test('slices that were never counted are audited ten times as fast, but no faster', async () => {
  await addThousandPerSlice();
  expect(await turnsOf(audit(9))).toEqual([[0], [1, 2], [3, 4], [5, 6]]);
});

test('a slice whose index key has the wrong type does not stop the audit', async () => {
  const { client, keys } = of.context.redis;
  await client.set(keys.index(0, 3), 'made by hand');
  expect(await audit().nextSlices()).toEqual(all);
});

test('a slice is audited whole, and its totals are stored', async () => {
  const { client, keys } = of.context.redis;
  const ids = Array.from({ length: 300 }, (_, n) => `app-${n}`);
  for (const id of ids) await client.hset(keys.indexOf(id), id, '');
  await client.hset(keys.summary(3), 'droplets', 99_999);
  expect(await audit().auditNext([3])).toBe(1);
  const expected = ids.filter((id) => keys.sliceOf(id) === 3);
  expect([...audited].sort()).toEqual([...expected].sort());
  expect(new Set(expected.map((id) => keys.indexOf(id))).size).toBeLessThanOrEqual(PIECES);
  expect(await client.hget(keys.summary(3), 'droplets')).toBe(String(expected.length));
  expect(await client.exists(keys.summary(4))).toBe(0);
});

test('slices of a small fleet are audited together once the first one has shown their size', async () => {
  const { client, keys } = of.context.redis;
  const ids = Array.from({ length: 40 }, (_, n) => `app-${n}`);
  for (const id of ids) await client.hset(keys.indexOf(id), id, '');
  const small = audit();
  expect(await small.auditNext(all)).toBe(1);
  expect(await small.auditNext(all.slice(1))).toBe(SLICES - 1);
  expect([...audited].sort()).toEqual([...ids].sort());
  for (const slice of all) {
    const expected = ids.filter((id) => keys.sliceOf(id) === slice).length;
    expect(await client.hget(keys.summary(slice), 'droplets')).toBe(String(expected));
  }
});
