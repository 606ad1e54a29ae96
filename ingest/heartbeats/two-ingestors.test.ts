import { beforeEach, describe, expect, test } from 'vitest';
import { withScripts } from '../../common/testing/redis/scripts.ts';
import {
  createIntake,
  type Entry,
  entry,
  heartbeatBytes,
  LOST_MS,
  useIntake,
} from '../../deploy/verify/fixtures/heartbeats.ts';
import type { HeartbeatIntake } from './intake.ts';

/*
 * DEAs to the end of 2013 send a heartbeat with a single new instance beside their full lists. NATS may give the two to two
 * ingestors within a millisecond. What either lists must be seen: the DEA may be cut off right after.
 */
const fixture = useIntake();
const FULL = [entry('x'), entry('y'), entry('z')];
const SINGLE = [entry('new')];

/** Another ingestor, whose writes of instances wait until `release` is called. */
let other: HeartbeatIntake;
let release: () => void;
/** How often the ingestor under test has tried to begin a heartbeat. */
let tries: number;

beforeEach(() => {
  tries = 0;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const redis = withScripts(
    fixture.context.redis,
    ['store_whole_heartbeat', 'store_heartbeat_droplets'],
    async (run) => {
      await held;
      return run();
    },
  );
  other = createIntake(fixture.context, redis);
  const counted = withScripts(fixture.context.redis, ['begin_heartbeat'], async (run) => {
    const reply = await run();
    tries++;
    return reply;
  });
  fixture.intake = createIntake(fixture.context, counted);
});

const take = (intake: HeartbeatIntake, entries: readonly Entry[]) =>
  intake.take(heartbeatBytes('dea-1', entries));
/** The other ingestor has begun to store its heartbeat. */
const begun = () =>
  expect
    .poll(async () => {
      const { client, keys } = fixture.context.redis;
      return client.hexists(keys.deaList('dea-1'), 'next');
    })
    .toBe(1);
const expectAllSeen = async () => {
  for (const { droplet: id } of [...FULL, ...SINGLE])
    expect(await fixture.instance(`${id}`, `${id}-0`)).toMatchObject({ dea: 'dea-1' });
};

describe('two heartbeats of a DEA that two ingestors received at about the same time', () => {
  test.each([
    ['the single one is begun after the full one', FULL, SINGLE, 1],
    ['the full one is begun after the single one', SINGLE, FULL, 1],
    ['in the same millisecond', FULL, SINGLE, 0],
  ])('are both seen: %s', async (_, first, second, apartMs) => {
    take(other, first);
    await begun();
    fixture.context.clock.advance(apartMs);
    take(fixture.intake, second);
    const stored = fixture.intake.idle();
    await expect.poll(() => tries).toBeGreaterThan(0);
    release();
    await Promise.all([stored, other.idle()]);
    await expectAllSeen();
  });

  test('are both seen: the full one was received first and is stored last', async () => {
    take(other, FULL);
    fixture.context.clock.advance(1);
    await fixture.receive('dea-1', ...SINGLE);
    release();
    await other.idle();
    await expectAllSeen();
  });

  test('one does not wait for an ingestor that never finishes', async () => {
    take(other, FULL);
    await begun();
    take(fixture.intake, SINGLE);
    const stored = fixture.intake.idle();
    await expect.poll(() => tries).toBeGreaterThan(0);
    await expect(fixture.droplet('new')).rejects.toThrow('no record');
    fixture.context.clock.advance(LOST_MS / 6 + 1);
    await stored;
    expect(await fixture.instance('new', 'new-0')).toMatchObject({ dea: 'dea-1' });
    release();
    await other.idle();
  });
});

test('of two full lists, each of its own period, the newer one does not wait for the older one', async () => {
  take(other, FULL);
  await begun();
  fixture.context.clock.advance(LOST_MS / 3);
  await fixture.receive('dea-1', entry('x'));
  release();
  await other.idle();
  expect(await fixture.instance('x', 'x-0')).not.toHaveProperty('lastListedMs');
  expect(tries).toBe(1);
});
