import { beforeEach, describe, expect, test } from 'vitest';
import { encodeDesired } from '../../../common/redis/records/record-codec.ts';
import { metricValue } from '../../../common/testing/context.ts';
import {
  createIntake,
  type Entry,
  entry,
  LOST_MS,
  useIntake,
} from '../../../deploy/verify/fixtures/heartbeats.ts';
import { storeShutdown } from '../../store-events.ts';

const fixture = useIntake();
const clock = () => fixture.context.clock;

/** Two hundred instances of as many apps. */
const twoHundred = (more: Entry = {}) =>
  Array.from({ length: 200 }, (_, n) => entry(`app-${n}`, `i-${n}`, more));

const instancesOf = async (droplet: string) => (await fixture.droplet(droplet)).instances;

const hasDigest = async (dea: string) =>
  Boolean(await fixture.context.redis.client.hget(fixture.context.redis.keys.deasDigest, dea));

const claimsRejected = (reason: string) =>
  metricValue(fixture.context.metrics, 'hm_claims_rejected_total', { reason });

const wanted = async (droplet: string, instances: number, version = 'v1') => {
  const { client, keys } = fixture.context.redis;
  const desired = {
    state: 'STARTED',
    packageState: 'STAGED',
    instances,
    version,
    memoryMb: 1,
    updatedAtS: 1,
  } as const;
  await client.hset(keys.droplet(droplet), 'desired', encodeDesired(desired), 'seen', '1', 'rev', '1');
  await client.hset(keys.indexOf(droplet), droplet, '');
};

/** Ingestors have listened, and mass_loss was evaluated, for droplet_lost before `sinceMs` and until now. */
const establishLosses = async (sinceMs: number) => {
  const { client, keys } = fixture.context.redis;
  const nowMs = clock().nowMs();
  await client.zadd(keys.watermarks, nowMs, 'ingestor');
  await client.hset(keys.listening, { since: sinceMs - LOST_MS, until: nowMs });
  await client.hset(keys.holds, 'mass_loss_evaluated', `${sinceMs - LOST_MS} ${nowMs}`);
};

const wantedOn = async (dea: string) =>
  Number((await fixture.context.redis.client.hget(fixture.context.redis.keys.deasWanted, dea)) ?? -1);

describe.each(['single', 'cluster'] as const)('%s: an instance belongs to the DEA that lists it', (kind) => {
  beforeEach(() => {
    const { redis } = fixture.context;
    // As in a cluster: one call for each slice, and the heartbeat ends in a call of its own.
    fixture.intake = createIntake(
      fixture.context,
      { ...redis, isCluster: kind === 'cluster' },
      fixture.rejected,
    );
  });

  test('a claim of 200 instances of a DEA that sends heartbeats changes nothing', async () => {
    await fixture.receive('real', ...twoHundred());
    clock().advance(1000);
    await fixture.receive('liar', ...twoHundred({ state: 'CRASHED' }));
    for (const n of [0, 57, 199]) {
      expect(await instancesOf(`app-${n}`)).toEqual([
        expect.objectContaining({ dea: 'real', state: 'RUNNING' }),
      ]);
      expect((await fixture.droplet(`app-${n}`)).rev).toBe(1);
    }
    expect(await claimsRejected('owner')).toBe(200);
    expect(fixture.context.lines).toContainEqual(
      expect.objectContaining({ event: 'claim_rejected', reason: 'owner', dea: 'liar', owner: 'real' }),
    );
  });

  test('a rejected claim is tried again with each heartbeat, although it is equal', async () => {
    await fixture.receive('real', entry('x'));
    await fixture.receive('liar', entry('x'));
    expect(await hasDigest('liar')).toBe(false);
    expect(await hasDigest('real')).toBe(true);
    await fixture.receive('liar', entry('x'));
    expect(await claimsRejected('owner')).toBe(2);
    expect(await fixture.lastHeartbeatMs('liar')).toBeDefined();
  });

  test('what else the heartbeat lists is stored', async () => {
    await fixture.receive('real', entry('x'));
    await fixture.receive('liar', entry('x'), entry('y', 'y-0'), entry('x', 'x-own', { index: 1 }));
    expect((await instancesOf('y'))[0]).toMatchObject({ dea: 'liar' });
    expect(await fixture.instance('x', 'x-own')).toMatchObject({ dea: 'liar' });
    expect(await fixture.instance('x', 'x-0')).toMatchObject({ dea: 'real' });
  });

  test.each([
    ['another version', { version: 'v0' }],
    ['another index', { index: 1 }],
  ])('%s of a known instance is rejected, also of its own DEA', async (_, change) => {
    const before = { dea: 'real', index: 0, version: 'v1', state: 'RUNNING' };
    await fixture.receive('real', entry('x'));
    await fixture.receive('liar', entry('x', 'x-0', change));
    expect(await instancesOf('x')).toEqual([expect.objectContaining(before)]);
    await fixture.receive('real', entry('x', 'x-0', change));
    expect(await instancesOf('x')).toEqual([expect.objectContaining(before)]);
    expect(await claimsRejected('identity')).toBe(2);
    // The next one does not count as listed before.
    for (let times = 0; times < 2; times++) await fixture.receive('real', entry('x', 'x-0', change));
    expect(await instancesOf('x')).toEqual([expect.objectContaining(before)]);
  });

  test('an instance that a made-up DEA listed first, with another index, belongs to its DEA once the other one is lost', async () => {
    const change = { index: 1, version: 'v0' };
    const made = { dea: 'liar', index: 1 };
    const madeUp = await fixture.receive('liar', entry('x', 'x-0', change), entry('y', 'y-0', change));
    await fixture.receive('real', entry('x'));
    const { client, keys } = fixture.context.redis;
    const claimAgain = async (massLoss?: object) => {
      clock().advance(1);
      await establishLosses(madeUp);
      await client.hset(keys.holds, 'mass_loss', massLoss === undefined ? '' : JSON.stringify(massLoss));
      await fixture.receive('real', entry('x'));
    };
    // Late is not enough: the slot of the other index would be empty, although its instance may run.
    clock().advance(LOST_MS - 3);
    await claimAgain();
    expect(await instancesOf('x')).toEqual([expect.objectContaining(made)]);
    clock().advance(2);
    await claimAgain({ sinceMs: 1, lateDeas: ['liar'] });
    expect(await instancesOf('x')).toEqual([expect.objectContaining(made)]);
    const hold = { ...{ id: 'h', covers: 'starts', dea: 'liar', why: 'w', by: 'b' }, sinceMs: 1 };
    await client.hset(
      keys.operatorHolds,
      'h',
      JSON.stringify({ ...hold, untilMs: clock().nowMs() + 60_000 }),
    );
    await claimAgain();
    expect(await instancesOf('x')).toEqual([expect.objectContaining(made)]);
    await client.del(keys.operatorHolds);
    await claimAgain();
    expect(await instancesOf('x')).toEqual([
      expect.objectContaining({ dea: 'real', index: 0, version: 'v1', state: 'RUNNING' }),
    ]);
    expect(await hasDigest('real')).toBe(true);
    // The first one was only cut off.
    clock().advance(1);
    await fixture.receive('liar', entry('x', 'x-0', change), entry('y', 'y-0', change));
    expect(await instancesOf('x')).toEqual([expect.objectContaining(made)]);
    clock().advance(1);
    await claimAgain();
    expect(await instancesOf('x')).toEqual([expect.objectContaining(made)]);
  });

  test.each([
    ['a version that is not live', { version: 'v0' }],
    ['an index that is not wanted', { index: 2 }],
    ['an index that another instance holds', { index: 1 }],
  ])(
    'an instance that a made-up DEA listed first, with %s, belongs to its DEA once the other one is late',
    async (_, change) => {
      await wanted('x', 2);
      await fixture.receive('liar', entry('x', 'x-0', change));
      const own = [entry('x'), entry('x', 'x-1', { index: 1 })];
      await fixture.receive('real', ...own);
      expect(await fixture.instance('x', 'x-0')).toMatchObject({ dea: 'liar', ...change });
      clock().advance(20_001);
      await fixture.receive('real', ...own);
      expect(await fixture.instance('x', 'x-0')).toMatchObject({ dea: 'real', index: 0, version: 'v1' });
    },
  );

  test.each([
    ['an index that another instance holds', { index: 1 }],
    ['an index that is not wanted', { index: 2 }],
    ['a version that is not live', { version: 'v0' }],
  ])(
    'an instance of a lost DEA is not claimed with %s: one of the two would be stopped',
    async (_, change) => {
      await wanted('x', 2);
      const lost = await fixture.receive('lost', entry('x'));
      await fixture.receive('next', entry('x', 'x-0-next'), entry('x', 'x-1', { index: 1 }));
      const claim = async () => {
        await fixture.receive('next', entry('x', 'x-0-next'), entry('x', 'x-1', { index: 1 }));
        await establishLosses(lost);
        await fixture.receive('liar', entry('x', 'x-0', change));
      };
      for (const waitedMs of [1, 20_000, LOST_MS]) {
        clock().advance(waitedMs);
        await claim();
        expect(await fixture.instance('x', 'x-0')).toMatchObject({ dea: 'lost', index: 0, version: 'v1' });
      }
    },
  );

  test('of a surplus instance the first claim to fill a slot is kept with it, until its own DEA lists it anew', async () => {
    await wanted('x', 2);
    await fixture.receive('first', entry('x', 'x-0', { version: 'v0' }), entry('x', 'x-1', { index: 1 }));
    const contestedMs = await fixture.receive('second', entry('x'));
    expect(await fixture.instance('x', 'x-0')).toMatchObject({ dea: 'first', version: 'v0', contestedMs });
    const { rev } = await fixture.droplet('x');
    clock().advance(1000);
    await fixture.receive('second', entry('x'));
    expect(await fixture.instance('x', 'x-0')).toMatchObject({ contestedMs });
    expect((await fixture.droplet('x')).rev).toBe(rev);
    await fixture.receive('first', entry('x', 'x-0', { version: 'v0', state: 'STARTING' }));
    expect(await fixture.instance('x', 'x-0')).not.toHaveProperty('contestedMs');
    expect(await fixture.instance('x', 'x-1')).toHaveProperty('lastListedMs');
  });

  test('a claim to a slot that is filled, or not wanted, is not kept', async () => {
    await wanted('x', 1);
    await fixture.receive('real', entry('x'), entry('x', 'x-1', { version: 'v0' }));
    await fixture.receive('liar', entry('x', 'x-1'), entry('x', 'x-0', { index: 5 }));
    for (const guid of ['x-0', 'x-1'])
      expect(await fixture.instance('x', guid)).not.toHaveProperty('contestedMs');
  });

  test('one guid twice in a heartbeat keeps the first version and index', async () => {
    await fixture.receive('dea', entry('x'), entry('x', 'x-0', { index: 3 }));
    expect(await instancesOf('x')).toEqual([expect.objectContaining({ index: 0 })]);
    expect(await claimsRejected('identity')).toBe(1);
  });

  test('a DEA that restarts under a new guid gets its instances once the old guid is late, without a gap', async () => {
    const first = await fixture.receive('old', entry('x'), entry('y'));
    clock().advance(10_000);
    await fixture.receive('new', entry('x'), entry('y'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'old' });
    clock().advance(10_000);
    await fixture.receive('new', entry('x'), entry('y'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'old' });
    clock().advance(1);
    const taken = await fixture.receive('new', entry('x'), entry('y'));
    expect(taken - first).toBeLessThanOrEqual(LOST_MS);
    for (const droplet of ['x', 'y'])
      expect(await instancesOf(droplet)).toEqual([
        expect.objectContaining({ dea: 'new', firstListedMs: first, state: 'RUNNING' }),
      ]);
    expect((await instancesOf('x'))[0]).not.toHaveProperty('lastListedMs');
    expect(await hasDigest('new')).toBe(true);
    expect(await fixture.dueMs('x')).toBeGreaterThanOrEqual(taken);
  });

  test('a claim is retried when its owner becomes late, before the next heartbeat of its DEA', async () => {
    await fixture.receive('old', entry('x'));
    clock().advance(19_900);
    await fixture.receive('new', entry('x'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'old' });
    clock().advance(101);
    await expect.poll(async () => (await instancesOf('x'))[0]?.dea).toBe('new');
    expect(await hasDigest('new')).toBe(true);
    // The retry is no heartbeat: the DEA was heard when it was.
    expect(await fixture.lastHeartbeatMs('new')).toBe(clock().nowMs() - 100);
  });

  test('a claim is applied at once after dea.shutdown of the owner, and after its expiry', async () => {
    const at = await fixture.receive('old', entry('x'));
    await storeShutdown(fixture.context.redis, 'old', at + 1, { dropletLostMs: LOST_MS });
    clock().advance(1000);
    await fixture.receive('new', entry('x'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'new' });
  });

  test('a claim of what its owner no longer lists is applied once the owner has left it out for a heartbeat period', async () => {
    await fixture.receive('old', entry('x'), entry('y'));
    clock().advance(10_000);
    await fixture.receive('old', entry('y'));
    await fixture.receive('new', entry('x'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'old' });
    clock().advance(10_000);
    await fixture.receive('old', entry('y'));
    await fixture.receive('new', entry('x'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'new' });
  });

  test('an owner that comes back gets its instances back, and keeps them', async () => {
    await fixture.receive('old', entry('x'));
    clock().advance(21_000);
    await fixture.receive('new', entry('x', 'x-0', { state: 'CRASHED' }));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'new', state: 'CRASHED' });
    clock().advance(1000);
    await fixture.receive('old', entry('x'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'old', state: 'RUNNING' });
    await fixture.receive('new', entry('x', 'x-0', { state: 'CRASHED' }));
    await fixture.receive('old', entry('x'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'old', state: 'RUNNING' });
    expect(await claimsRejected('owner')).toBe(1);
    expect(await hasDigest('old')).toBe(true);
  });

  test('an owner that comes back gets its instances back, although it claims one of a live DEA, too', async () => {
    await fixture.receive('old', entry('x'));
    clock().advance(21_000);
    await fixture.receive('new', entry('x'));
    await fixture.receive('live', entry('y'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'new' });
    clock().advance(1000);
    await fixture.receive('old', entry('x'), entry('y'));
    expect((await instancesOf('x'))[0]).toMatchObject({ dea: 'old' });
    expect((await instancesOf('y'))[0]).toMatchObject({ dea: 'live' });
  });

  test('a DEA counts for mass_loss by the instances of droplets of which it holds a wanted slot', async () => {
    await wanted('x', 2);
    await wanted('y', 1);
    await fixture.receive('real', entry('x'), entry('y'), entry('stranger'), entry('x', 'x-9', { index: 9 }));
    expect(await wantedOn('real')).toBe(3);
    clock().advance(1000);
    // Claims of others, made-up copies at slots that are held, and slots that nobody wants.
    await fixture.receive(
      'liar',
      entry('x'),
      entry('y', 'copy'),
      entry('x', 'far', { index: 7 }),
      entry('none'),
    );
    expect(await wantedOn('liar')).toBe(0);
    // The other droplets keep what they count for.
    clock().advance(10);
    await fixture.receive('real', entry('x'), entry('y'), entry('x', 'x-1', { index: 1 }));
    expect(await wantedOn('real')).toBe(3);
    clock().advance(10);
    await fixture.receive('real', entry('x'), entry('x', 'x-1', { index: 1 }));
    expect(await wantedOn('real')).toBe(2);
    clock().advance(10);
    await fixture.receive('real');
    expect(await wantedOn('real')).toBe(0);
  });
});
