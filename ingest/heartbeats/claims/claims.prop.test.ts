import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lateAfterMs } from '../../../common/policy/thresholds.ts';
import { inputs } from '../../../common/testing/property-seed.ts';
import {
  createIntake,
  type Entry,
  entry,
  LOST_MS,
  useIntake,
} from '../../../deploy/verify/fixtures/heartbeats.ts';

const fixture = useIntake();

/** A heartbeat of a DEA that lies: of each instance it lists, what it says of it. */
type Lie = { n: number; index: number; version: string; state: string; isOwn: boolean };

const lie: fc.Arbitrary<Lie> = fc.record({
  n: fc.nat(5),
  index: fc.nat(2),
  version: fc.constantFrom('v1', 'v0'),
  state: fc.constantFrom('RUNNING', 'STARTING', 'CRASHED', 'EVACUATING', 'STOPPED'),
  isOwn: fc.boolean(),
});
const step = fc.record({
  afterMs: fc.constantFrom(0, 1, 3000, 10_000),
  /** Which real DEAs send their list before the lies. */
  heard: fc.subarray([0, 1, 2]),
  liar: fc.nat(1),
  lies: fc.array(lie, { maxLength: 6 }),
});

/** Six instances of three apps on three real DEAs: each DEA has two. */
const entryOf = (n: number, more: Entry = {}) =>
  entry(`app-${n % 3}`, `i-${n}`, { index: Math.floor(n / 3), ...more });
const listOf = (dea: number) => [entryOf(dea * 2), entryOf(dea * 2 + 1)];

test('whatever two DEAs lie, what a DEA lists that sends heartbeats stays as it lists it', async () => {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 1, maxLength: 8 }),
    fc.boolean(),
    async (steps, isCluster) => {
      const { redis, clock } = fixture.context;
      await redis.client.flushall();
      fixture.intake = createIntake(fixture.context, { ...redis, isCluster });
      const last = [0, 1, 2].map(() => 0);
      const hear = async (dea: number) => {
        clock.advance(1);
        last[dea] = await fixture.receive(`real-${dea}`, ...listOf(dea));
      };
      const expectOwn = async (dea: number) => {
        for (const { droplet, instance: guid, index, version } of listOf(dea)) {
          const found = await fixture.instance(String(droplet), String(guid));
          expect(found).toMatchObject({ dea: `real-${dea}`, state: 'RUNNING', index, version });
          expect(found).not.toHaveProperty('lastListedMs');
        }
      };
      for (const dea of [0, 1, 2]) await hear(dea);
      for (const { afterMs, heard, liar, lies } of steps) {
        clock.advance(afterMs);
        for (const dea of heard) {
          await hear(dea);
          await expectOwn(dea);
        }
        clock.advance(1);
        const list = lies.map(({ n, isOwn, index, version, state }) =>
          entryOf(n, { index, version, state, ...(isOwn && { instance: `made-up-${liar}-${n}` }) }),
        );
        await fixture.receive(`liar-${liar}`, ...list);
        for (const dea of [0, 1, 2])
          if (clock.nowMs() - (last[dea] as number) <= lateAfterMs({ dropletLostMs: LOST_MS }))
            await expectOwn(dea);
      }
    },
  );
  await fc.assert(property, inputs(60));
});

test('while the real DEAs send heartbeats, no lie changes their instances', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
    const { redis, clock } = fixture.context;
    await redis.client.flushall();
    fixture.intake = createIntake(fixture.context, redis);
    const hearAll = async () => {
      clock.advance(1);
      for (const dea of [0, 1, 2]) await fixture.receive(`real-${dea}`, ...listOf(dea));
    };
    await hearAll();
    const records = async () =>
      Promise.all([0, 1, 2, 3, 4, 5].map((n) => fixture.instance(`app-${n % 3}`, `i-${n}`)));
    const before = await records();
    for (const { afterMs, liar, lies } of steps) {
      clock.advance(afterMs);
      await hearAll();
      clock.advance(1);
      const list = lies.map(({ n, isOwn, index, version, state }) =>
        entryOf(n, { index, version, state, ...(isOwn && { instance: `made-up-${liar}-${n}` }) }),
      );
      await fixture.receive(`liar-${liar}`, ...list);
      expect(await records()).toEqual(before);
    }
  });
  await fc.assert(property, inputs(60));
});
