import { beforeEach, expect, test } from 'vitest';
import type { Droplet } from '../../common/model/droplet.ts';
import { PIECES } from '../../common/redis/keys.ts';
import { useRedis } from '../../common/testing/context.ts';
import type { DecisionResult } from '../decide/decide.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import { Audit } from './audit.ts';

const SLICES = 8;
const of = useRedis({ settings: { slices: SLICES } });
const EVERY_MS = 20_000;
let audited: string[];

beforeEach(() => {
  audited = [];
});

/** On a reconciler that only notes what it is to look at. */
function audit(auditRate = 1_000_000): Audit {
  const { redis, clock, settings } = of.context;
  const reconciler = {
    audit: async (_: number, ids: string[], seen: (...args: unknown[]) => void) => {
      for (const id of ids) {
        audited.push(id);
        const droplet = {
          id,
          instances: [],
          exits: [],
          slots: new Map(),
          stops: new Map(),
        } as unknown as Droplet;
        seen(
          droplet,
          { slots: new Map(), stops: new Map() } as unknown as DecisionResult,
          new Map(),
          clock.nowMs(),
        );
      }
    },
  } as unknown as Reconciler;
  const policy = { ...settings.policy, dropletsAnalysisMs: EVERY_MS };
  return new Audit({ redis, clock, policy, reconciler, auditRate });
}
const all = Array.from({ length: SLICES }, (_, slice) => slice);

test('the first turn is a whole round', async () => {
  expect(await audit().next()).toEqual(all);
  expect(await audit().next()).toEqual([]);
});

test('a round takes droplets_analysis, whoever goes on with it', async () => {
  await audit().next();
  const turns: number[][] = [];
  for (let turn = 0; turn < 8; turn++) {
    of.context.clock.advance(EVERY_MS / SLICES);
    turns.push(await audit().next());
  }
  expect(turns).toEqual(all.map((slice) => [slice]));
});

test('turns that come seldom have more slices, around the end too, none twice', async () => {
  await audit().next();
  of.context.clock.advance((6 * EVERY_MS) / SLICES);
  expect(await audit().next()).toEqual([0, 1, 2, 3, 4, 5]);
  of.context.clock.advance((4 * EVERY_MS) / SLICES);
  expect(await audit().next()).toEqual([0, 1, 6, 7]);
  of.context.clock.advance(10 * EVERY_MS);
  expect(await audit().next()).toEqual(all);
});

test('time that is not enough for a slice is not lost', async () => {
  await audit().next();
  const step = EVERY_MS / SLICES / 4;
  const turns: number[][] = [];
  for (let turn = 0; turn < 8; turn++) {
    of.context.clock.advance(step);
    turns.push(await audit().next());
  }
  expect(turns.filter((slices) => slices.length > 0)).toEqual([[0], [1]]);
});

test('time that is more than enough for some slices counts for the next ones', async () => {
  await audit().next();
  let slices = 0;
  for (let turn = 0; turn < 10; turn++) {
    of.context.clock.advance((1.95 * EVERY_MS) / SLICES);
    slices += (await audit().next()).length;
  }
  expect(slices).toBe(19);
});

/** So that 90 a second in 20 s are not quite two slices. */
async function thousandASlice(): Promise<void> {
  const { client, keys } = of.context.redis;
  const pipeline = client.pipeline();
  for (let n = 0; n < 1000 * SLICES; n++) pipeline.hset(keys.indexOf(`app-${n}`), `app-${n}`, '');
  await pipeline.exec();
}

async function turnsOf(slow: Audit): Promise<number[][]> {
  const turns: number[][] = [];
  for (let turn = 0; turn < 4; turn++) {
    turns.push(await slow.next());
    of.context.clock.advance(EVERY_MS);
  }
  return turns;
}

test('a large fleet is gone through more slowly: audit_rate droplets a second', async () => {
  const { client, keys } = of.context.redis;
  await thousandASlice();
  for (const slice of all) await client.hset(keys.summary(slice), 'droplets', 1000);
  expect(await turnsOf(audit(90))).toEqual([[0], [1, 2], [3, 4], [5, 6]]);
});

test('slices that were never counted come ten times as fast, but no faster', async () => {
  await thousandASlice();
  expect(await turnsOf(audit(9))).toEqual([[0], [1, 2], [3, 4], [5, 6]]);
});

test('a slice whose index somebody made something else of is passed like any other', async () => {
  const { client, keys } = of.context.redis;
  await client.set(keys.index(0, 3), 'made by hand');
  expect(await audit().next()).toEqual(all);
});

test('a slice is audited whole, and its totals are stored', async () => {
  const { client, keys } = of.context.redis;
  const ids = Array.from({ length: 300 }, (_, n) => `app-${n}`);
  for (const id of ids) await client.hset(keys.indexOf(id), id, '');
  await client.hset(keys.summary(3), 'droplets', 99_999);
  await audit().slice(3);
  const expected = ids.filter((id) => keys.sliceOf(id) === 3);
  expect([...audited].sort()).toEqual([...expected].sort());
  expect(new Set(expected.map((id) => keys.indexOf(id))).size).toBeLessThanOrEqual(PIECES);
  expect(await client.hget(keys.summary(3), 'droplets')).toBe(String(expected.length));
  expect(await client.exists(keys.summary(4))).toBe(0);
});
