import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inputs } from '../../common/testing/property-seed.ts';
import { withScripts } from '../../common/testing/redis/scripts.ts';
import {
  createIntake,
  type Entry,
  entry,
  heartbeatBytes,
  useIntake,
} from '../../deploy/verify/fixtures/heartbeats.ts';

const fixture = useIntake();

const LISTS: readonly Entry[][] = [
  [entry('x', 'first')],
  [entry('x', 'second')],
  [entry('x', 'first', { state: 'STARTING' })],
  [entry('x', 'first'), entry('y', 'y-0')],
  [],
];

const step = fc.record({
  list: fc.nat(LISTS.length - 1),
  afterMs: fc.constantFrom(0, 1, 500, 3_000, 10_000),
  /** What the intake does before the next heartbeat. */
  next: fc.constantFrom('collects', 'begins to store', 'stores all'),
  /** Round trips to Redis before the next heartbeat. */
  roundTrips: fc.nat(4),
});

test('whatever waits for Redis, and how long, the last heartbeat of a DEA is the one that is stored', async () => {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 2, maxLength: 7 }),
    fc.array(fc.nat(6), { maxLength: 12 }),
    async (steps, waits) => {
      const { redis, clock } = fixture.context;
      await redis.client.flushall();
      const delayed = withScripts(
        redis,
        [
          'touch_deas',
          'begin_heartbeat',
          'store_whole_heartbeat',
          'store_heartbeat_droplets',
          'finish_heartbeat',
        ],
        async (run) => {
          await roundTrips(waits.shift() ?? 0);
          return run();
        },
      );
      const intake = createIntake(fixture.context, delayed);
      for (const { list, afterMs, next, roundTrips: count } of steps) {
        clock.advance(afterMs);
        intake.take(heartbeatBytes('dea-1', LISTS[list]));
        if (next === 'begins to store') void intake.idle();
        if (next === 'stores all') await intake.idle();
        await roundTrips(count);
      }
      await intake.idle();
      const last = LISTS[steps.at(-1)?.list as number] as Entry[];
      const stored = await Promise.all(
        [
          ['x', 'first'],
          ['x', 'second'],
          ['y', 'y-0'],
        ].map(([droplet, guid]) => listed(droplet as string, guid as string)),
      );
      expect(stored.filter((instance) => instance !== undefined)).toEqual(
        last.map(({ instance: guid, state }) => ({ guid, state })),
      );
    },
  );
  await fc.assert(property, inputs(150));
});

async function roundTrips(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await fixture.context.redis.client.ping();
}

/** The instance, if its DEA lists it as far as is stored. */
async function listed(droplet: string, guid: string): Promise<{ guid: string; state: string } | undefined> {
  const instance = await fixture.instance(droplet, guid).catch(() => undefined); // no record
  return instance === undefined || instance.lastListedMs !== undefined
    ? undefined
    : { guid, state: instance.state };
}
