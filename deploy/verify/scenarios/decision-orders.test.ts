import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ExitReason } from '../../../common/model/reasons.ts';
import { useRedis } from '../../../common/testing/context.ts';
import { exploreInterleavings } from '../../../common/testing/interleavings.ts';
import { inputs } from '../../../common/testing/property-seed.ts';
import { type Choose, DropletFixture } from './droplet-fixture.ts';

/*
 * Ingestors, two analyzers and two nudgers work on one droplet at the same time. An analyzer reads and commits, a nudger
 * reads and settles, an ingestor writes; any other step may come between two of these. Two nudgers may hold the same job
 * if one of them was taken for dead.
 *
 * Why each order ends right:
 *
 * - Every write of a decision or of its outcome names the revision that was read, and every change of the facts behind a
 *   decision makes a new revision. So of two processes that decided on one record, one is refused, reads again, and finds
 *   the other's decision. There is one decision for each crash, and only one nudger settles it and sends.
 * - A job is added after its decision is stored. A nudger that does not find that decision in the record, because it was
 *   cancelled or replaced meanwhile, sends nothing. A job that is added after the cancellation ends the same way.
 * - A reconcile that read before an exit or update was stored conflicts; a later one has read it. A change between two
 *   reconciles leaves the droplet due, and a commit does not remove a due time after its own time.
 */

const redisOf = useRedis();

async function withDroplet(nudgers: number, work: (fixture: DropletFixture) => Promise<void>): Promise<void> {
  const fixture = new DropletFixture(redisOf.context, nudgers);
  try {
    await fixture.begin();
    await work(fixture);
  } catch (cause) {
    throw new Error(`${fixture.taken.join('\n')}\n${cause}`, { cause });
  }
}

/** Ticks until nothing is due. */
async function tickUntilIdle(fixture: DropletFixture, choose: Choose): Promise<void> {
  fixture.clock.advance(2);
  for (let tick = 0; await fixture.dueNow(); tick++) {
    expect(tick, 'ticks until nothing is due').toBeLessThan(10);
    fixture.reconcile();
    await fixture.runAll(choose);
    fixture.clock.advance(2);
  }
}

test.each([
  ['two analyzers and a nudger', 2, 1],
  ['an analyzer and two nudgers', 1, 2],
])('one crash, %s, in every order: one decision that is sent once', async (_, analyzers, nudgers) => {
  const ways = await exploreInterleavings((choose) =>
    withDroplet(nudgers, async (fixture) => {
      fixture.exit('i0', 'CRASHED');
      for (let n = 0; n < analyzers; n++) fixture.reconcile();
      await fixture.runAll(choose);
      await tickUntilIdle(fixture, () => 0);
      expect(fixture.published).toMatchObject([{ indices: [0] }]);
      expect(await fixture.log('start')).toMatchObject([{ reason: 'crashed', index: 0 }]);
      expect(await fixture.log('sent')).toHaveLength(1);
      const { slots, handledExits, outcomes } = await fixture.droplet();
      expect(slots.get(0)).toMatchObject({ crashes: 1, start: { id: fixture.published[0]?.id } });
      expect(handledExits).toBe(1);
      expect([...outcomes.keys()]).toEqual([fixture.published[0]?.id]);
    }),
  );
  expect(ways).toBeGreaterThan(10);
});

test('a start and an instance that starts without a request, in every order: sent once or cancelled', async () => {
  await exploreInterleavings((choose) =>
    withDroplet(1, async (fixture) => {
      fixture.exit('i0', 'DEA_SHUTDOWN');
      await fixture.runAll(choose);
      fixture.clock.advance(10);
      fixture.reconcile();
      fixture.heartbeat({ i1: 'RUNNING' });
      await fixture.runAll(choose);
      await tickUntilIdle(fixture, () => 0);
      expect(fixture.published.length).toBeLessThanOrEqual(1);
      expect((await fixture.log('start')).length).toBeLessThanOrEqual(1);
      const ends = [
        ...(await fixture.log('sent')),
        ...(await fixture.log('dropped')),
        ...(await fixture.log('cancel')),
      ];
      expect(ends).toHaveLength((await fixture.log('start')).length);
      expect([...fixture.jobs.keys()]).toEqual([]);
      expect((await fixture.droplet()).slots.get(0)?.start).toBeUndefined();
    }),
  );
});

type Action =
  | { what: 'exit'; instance: string; reason: ExitReason }
  | { what: 'heartbeat'; instances: Record<string, string> }
  | { what: 'update' }
  | { what: 'reconcile' };

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    what: fc.constant('exit' as const),
    instance: fc.constantFrom('i0', 'i0', 'i1', 'i2'),
    reason: fc.constantFrom('CRASHED', 'CRASHED', 'DEA_EVACUATION', 'DEA_SHUTDOWN', 'STOPPED'),
  }),
  fc.record({
    what: fc.constant('heartbeat' as const),
    instances: fc.dictionary(
      fc.constantFrom('i0', 'i1'),
      fc.constantFrom('RUNNING', 'STARTING', 'EVACUATING'),
    ),
  }),
  fc.constant({ what: 'update' as const }),
  fc.constant({ what: 'reconcile' as const }),
  fc.constant({ what: 'reconcile' as const }),
);

test('after any events in any order: at most one start on its way, each sent at most once, none lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(action, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
      (rounds, order) =>
        withDroplet(2, async (fixture) => {
          let at = 0;
          const choose: Choose = (of) => (order[at++ % order.length] as number) % of;
          for (const round of rounds) {
            for (const one of round) {
              fixture.taken.push(JSON.stringify(one));
              if (one.what === 'exit') fixture.exit(one.instance, one.reason);
              else if (one.what === 'heartbeat') fixture.heartbeat(one.instances);
              else if (one.what === 'update') fixture.update();
              else fixture.reconcile();
            }
            await fixture.runAll(choose);
            fixture.clock.advance(100);
          }
          await tickUntilIdle(fixture, choose);

          const ids = fixture.published.map(({ id }) => id);
          expect(new Set(ids).size, 'each decision is sent once').toBe(ids.length);
          expect((await fixture.log('sent')).map(({ id }) => id).sort()).toEqual([...ids].sort());
          const decided = [...(await fixture.log('start')), ...(await fixture.log('stop'))].map(
            ({ id }) => id,
          );
          expect([...fixture.decided].sort()).toEqual(decided.sort());
          // The queues hold exactly the decisions without an outcome.
          const { slots, stops, outcomes } = await fixture.droplet();
          const start = slots.get(0)?.start;
          const waiting = [...stops.values()].filter(({ held }) => held === undefined).map(({ id }) => id);
          if (start !== undefined) waiting.push(start.id);
          expect([...fixture.jobs.keys()].sort()).toEqual(waiting.filter((id) => !outcomes.has(id)).sort());
        }),
    ),
    inputs(200),
  );
});
