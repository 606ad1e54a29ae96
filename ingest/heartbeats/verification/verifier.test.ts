import { beforeEach, describe, expect, test } from 'vitest';
import type { Keys } from '../../../common/redis/keys.ts';
import { metricValue } from '../../../common/testing/context.ts';
import { createIntake, entry, useIntake } from '../../../deploy/verify/fixtures/heartbeats.ts';

const fixture = useIntake();
const redis = () => fixture.context.redis;
const PERIOD_MS = 10_000;
/** Every DEA has its turn once in nine minutes; its next heartbeat is then stored whole. */
const HEALED_WITHIN_MS = 570_000;

const repairs = (what: string) => metricValue(fixture.context.metrics, 'hm_repairs_total', { what });

/** Receives the same heartbeat again and again. @returns whether `isDone` became true within ten minutes */
async function healed(dea: string, droplets: unknown[], isDone: () => Promise<boolean>): Promise<boolean> {
  for (let ms = 0; ms < HEALED_WITHIN_MS; ms += PERIOD_MS) {
    fixture.context.clock.advance(PERIOD_MS);
    await fixture.receive(dea, ...droplets);
    if (await isDone()) return true;
  }
  return false;
}

const hasRecord = async (id: string) => (await redis().client.exists(redis().keys.droplet(id))) === 1;

describe('while heartbeats stay equal', () => {
  const list = [entry('x'), entry('y')];
  beforeEach(() => fixture.receive('dea-1', ...list));

  test('a deleted record is whole again within ten minutes', async () => {
    const { client, keys } = redis();
    await client.del(keys.droplet('x'));
    await client.hdel(keys.indexOf('x'), 'x');
    expect(await healed('dea-1', list, () => hasRecord('x'))).toBe(true);
    expect(await fixture.instance('x', 'x-0')).toMatchObject({ state: 'RUNNING', dea: 'dea-1' });
    expect(await client.hexists(keys.indexOf('x'), 'x')).toBe(1);
    expect(await repairs('record')).toBe(1);
    expect(fixture.context.lines).toContainEqual(
      expect.objectContaining({ event: 'state_repaired', what: 'record', ids: ['x'] }),
    );
  });

  test.each(['rev', 'seen'])('a record whose field `%s` was deleted is whole again', async (field) => {
    const { client, keys } = redis();
    await client.hdel(keys.droplet('x'), field);
    const isWhole = async () => (await client.hexists(keys.droplet('x'), field)) === 1;
    expect(await healed('dea-1', list, isWhole)).toBe(true);
    expect(await fixture.dueMs('x')).toBe(fixture.context.clock.nowMs());
    expect(await repairs('record')).toBe(1);
  });

  test.each([
    ['edited', '0 CRASHED on dea-1 version v1 since 1 first 1'],
    ['edited to another index', '7 RUNNING on dea-1 version v1 since 1 first 1'],
    ['edited to another version', '0 RUNNING on dea-1 version v9 since 1 first 1'],
    ['edited into nonsense', 'nonsense'],
    ['deleted', undefined],
  ])('an instance whose field was %s is as listed again', async (_, value) => {
    const { client, keys } = redis();
    if (value === undefined) await client.hdel(keys.droplet('x'), 'instance:x-0');
    else await client.hset(keys.droplet('x'), 'instance:x-0', value);
    const isRunning = async () =>
      (await client.hget(keys.droplet('x'), 'instance:x-0'))?.startsWith('0 RUNNING on dea-1 version v1 ') ??
      false;
    expect(await healed('dea-1', list, isRunning)).toBe(true);
  });

  test('a deleted index entry is written again, and a full pass is requested; nothing becomes due and no revision changes', async () => {
    const { client, keys } = redis();
    await client.hdel(keys.indexOf('x'), 'x');
    await client.del(keys.due(keys.sliceOf('x')));
    const isIndexed = async () => (await client.hexists(keys.indexOf('x'), 'x')) === 1;
    expect(await healed('dea-1', list, isIndexed)).toBe(true);
    expect(await repairs('index')).toBe(1);
    // It finds the entries of apps that are gone, too, which no heartbeat names.
    await expect
      .poll(async () => Number(await client.hget(keys.syncState, 'full_requested')))
      .toBe(fixture.context.clock.nowMs());
    expect((await fixture.droplet('x')).rev).toBe(1);
    expect(await fixture.dueMs('x')).toBeUndefined();
  });

  test('a deleted digest is stored again with the next heartbeat', async () => {
    const { client, keys } = redis();
    await client.del(keys.deasDigest);
    fixture.context.clock.advance(PERIOD_MS);
    await fixture.receive('dea-1', ...list);
    expect(await client.hexists(keys.deasDigest, 'dea-1')).toBe(1);
    expect(await repairs('digest')).toBe(1);
    expect(await repairs('record')).toBe(0);
  });

  test('nothing is repaired where nothing is missing', async () => {
    expect(await healed('dea-1', list, async () => false)).toBe(false);
    for (const what of ['record', 'index', 'digest', 'list']) expect(await repairs(what)).toBe(0);
    expect((await fixture.droplet('x')).rev).toBe(1);
    expect(await fixture.counted('changed')).toBe(1);
    expect(await fixture.counted('verified')).toBe(1);
  });
});

test.each<[string, (keys: Keys) => string[]]>([
  ['', () => []],
  [', and the index with it,', (keys) => [keys.indexOf('x'), keys.indexOf('y')]],
  [', and the heartbeat times,', (keys) => [keys.deasLastHeartbeat, keys.deasPreviousHeartbeat]],
  [
    ', heartbeat times and digests,',
    (keys) => [keys.deasLastHeartbeat, keys.deasPreviousHeartbeat, keys.deasDigest],
  ],
])(
  'an instance that left the list while the list%s was lost is marked as no longer listed',
  async (_, alsoLost) => {
    const { client, keys } = redis();
    await fixture.receive('dea-1', entry('x'), entry('y'));
    await client.del(keys.deaList('dea-1'), ...alsoLost(keys));
    fixture.context.clock.advance(PERIOD_MS);
    await fixture.receive('dea-1', entry('y'));
    expect(await repairs('list')).toBe(1);
    fixture.context.clock.advance(PERIOD_MS);
    await fixture.receive('dea-1', entry('y'));
    expect(await fixture.instance('x', 'x-0')).toHaveProperty('lastListedMs');
    expect(await fixture.instance('y', 'y-0')).not.toHaveProperty('lastListedMs');
    expect(await client.hkeys(keys.deaList('dea-1'))).toEqual(
      expect.not.arrayContaining(['suspects', 'list_lost']),
    );
  },
);

test('a lost list is found although heartbeats stay equal', async () => {
  const { client, keys } = redis();
  await fixture.receive('dea-1', entry('x'));
  await client.del(keys.deaList('dea-1'));
  const hasList = async () => (await client.exists(keys.deaList('dea-1'))) === 1;
  expect(await healed('dea-1', [entry('x')], hasList)).toBe(true);
  expect(await repairs('list')).toBe(1);
});

test('DEAs have their turns at different times', async () => {
  const deas = Array.from({ length: 54 }, (_, n) => `dea-${n}`);
  for (const dea of deas) await fixture.receive(dea, entry(`${dea}-app`));
  const stored: number[] = [];
  for (let ms = 0; ms < HEALED_WITHIN_MS; ms += PERIOD_MS) {
    fixture.context.clock.advance(PERIOD_MS);
    const before = await fixture.counted('verified');
    for (const dea of deas) await fixture.receive(dea, entry(`${dea}-app`));
    stored.push((await fixture.counted('verified')) - before);
  }
  expect(stored.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(54);
  expect(Math.max(...stored)).toBeLessThan(8);
}, 60_000);

test('in a fleet too large to store every DEA whole, a missing record is found by its existence', async () => {
  const deas = Array.from({ length: 300 }, (_, n) => `dea-${n}`);
  const receiveAll = async () => {
    for (const dea of deas) void fixture.receive(dea, entry(`${dea}-app`));
    await fixture.intake.idle();
  };
  await receiveAll();
  // All turns at once: after a pause that is shorter than droplet_lost for the stored heartbeats.
  const { client, keys } = redis();
  const intake = createIntake(fixture.context, redis());
  fixture.intake = intake;
  await client.del(keys.droplet('dea-299-app'));
  let healedAt: number | undefined;
  for (let ms = 0; ms < HEALED_WITHIN_MS && healedAt === undefined; ms += PERIOD_MS) {
    fixture.context.clock.advance(PERIOD_MS);
    await receiveAll();
    if (await hasRecord('dea-299-app')) healedAt = ms;
  }
  expect(healedAt).toBeDefined();
}, 60_000);
