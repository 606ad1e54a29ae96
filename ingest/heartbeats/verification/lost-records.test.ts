import { beforeEach, expect, test } from 'vitest';
import { expireAllDigests } from '../../../common/redis/scripts/deas/expire-digests.ts';
import { heartbeatScripts } from '../../../common/testing/redis/heartbeat-scripts.ts';
import { entry, LOST_MS, useIntake } from '../../../deploy/verify/fixtures/heartbeats.ts';

const fixture = useIntake();
const redis = () => fixture.context.redis;
const PERIOD_MS = LOST_MS / 3;
const DEAS = ['dea-1', 'dea-2', 'dea-3'];

/** Every DEA runs an instance of each of two apps. */
const listOf = (dea: string) => [
  entry('x', `x-${dea}`, { index: DEAS.indexOf(dea) }),
  entry('y', `y-${dea}`, { index: DEAS.indexOf(dea) }),
];

async function period(): Promise<void> {
  fixture.context.clock.advance(PERIOD_MS);
  for (const dea of DEAS) await fixture.receive(dea, ...listOf(dea));
}

/** The record, unless there is none; and whether its grace period has ended. */
async function found(droplet: string) {
  if ((await redis().client.exists(redis().keys.droplet(droplet))) === 0) return undefined;
  const { instances, firstSeenMs } = await fixture.droplet(droplet);
  return { instances: instances.length, hasGrace: fixture.context.clock.nowMs() - firstSeenMs < LOST_MS };
}

const lose = (droplet: string) => redis().client.del(redis().keys.droplet(droplet));
const expire = (dea: string) => redis().client.hset(redis().keys.deasDigest, dea, '');

beforeEach(async () => {
  for (const dea of DEAS) await fixture.receive(dea, ...listOf(dea));
});

test('of records lost one after the other each is whole before its grace period ends', async () => {
  await lose('x');
  await expire('dea-1');
  await period();
  await lose('y');
  await expire('dea-2');
  for (let periods = 0; periods < 6; periods++) {
    await period();
    for (const droplet of ['x', 'y']) {
      const record = await found(droplet);
      if (record !== undefined && !record.hasGrace) expect(record).toMatchObject({ instances: DEAS.length });
    }
  }
  expect(await found('x')).toMatchObject({ instances: DEAS.length });
  expect(await found('y')).toMatchObject({ instances: DEAS.length });
});

test('a change of an app whose record is lost does not begin a record without its other instances', async () => {
  await lose('x');
  fixture.context.clock.advance(PERIOD_MS);
  await fixture.receive('dea-1', entry('x', 'x-new', { index: 0 }), entry('y', 'y-dea-1'));
  for (const dea of ['dea-2', 'dea-3']) await fixture.receive(dea, ...listOf(dea));
  expect(await found('x')).toMatchObject({ instances: DEAS.length, hasGrace: true });
});

test('a heartbeat that is being stored when all digests expire leaves no digest', async () => {
  const { begin, finish } = heartbeatScripts(redis, LOST_MS);
  const at = fixture.context.clock.advance(PERIOD_MS);
  await begin(at, 'dea-1');
  await expireAllDigests(redis());
  await finish(at, 'dea-1', 'digest');
  expect(await redis().client.hget(redis().keys.deasDigest, 'dea-1')).toBe('');
});

test('while the digests cannot be expired no lost record is built again', async () => {
  await lose('x');
  await expire('dea-1');
  const { client } = redis();
  const { hset } = client;
  client.hset = (() => Promise.reject(new Error('READONLY'))) as typeof client.hset;
  fixture.context.clock.advance(PERIOD_MS);
  const received = fixture.receive('dea-1', ...listOf('dea-1'));
  try {
    await expect
      .poll(() => fixture.context.lines.some(({ event }) => event === 'heartbeats_not_stored'))
      .toBe(true);
    expect(await found('x')).toBeUndefined();
  } finally {
    client.hset = hset;
  }
  await received;
  await period();
  await period();
  expect(await found('x')).toMatchObject({ instances: DEAS.length });
});
