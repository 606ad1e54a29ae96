/** Property: nothing that an operator pauses is decided or sent, and a pause of something else changes nothing. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { DeaLiveness, Droplet, Instance } from '../../../common/model/droplet.ts';
import { HOLD_COVERS, type OperatorHold } from '../../../common/model/operator-hold.ts';
import { EXIT_REASONS } from '../../../common/model/reasons.ts';
import { Recheck } from '../../../common/policy/recheck.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  LOST,
  NOW,
  operatorHold,
  SECOND,
  SETTINGS,
} from '../../../common/testing/builders.ts';
import { decide } from '../decide.ts';
import { applyDecision } from './fixtures.ts';

const DEAS: ReadonlyMap<string, DeaLiveness> = deas({ 'dea-2': { lastHeartbeatMs: NOW - LOST - SECOND } });

const anInstance = (guid: string): fc.Arbitrary<Instance> =>
  fc
    .record({
      index: fc.nat(3),
      version: fc.constantFrom('v1', 'v1', 'v0'),
      state: fc.constantFrom('RUNNING', 'RUNNING', 'STARTING', 'EVACUATING', 'CRASHED'),
      dea: fc.constantFrom('dea-1', 'dea-2', 'dea-3'),
      firstListedMs: fc.constantFrom(NOW - 3600 * SECOND, NOW - 500 * SECOND, NOW - 40 * SECOND),
      isListed: fc.boolean(),
    })
    .map(({ isListed, ...over }) =>
      instance(guid, { ...over, ...(!isListed && { lastListedMs: NOW - 3 * SECOND }) }),
    );

const aDroplet: fc.Arbitrary<Droplet> = fc
  .record({
    app: fc.record({
      state: fc.constantFrom('STARTED', 'STARTED', 'STOPPED'),
      instances: fc.nat(3),
    }),
    isGone: fc.integer({ min: 0, max: 5 }),
    instances: fc
      .integer({ min: 0, max: 6 })
      .chain((n) => fc.tuple(...Array.from({ length: n }, (_, at) => anInstance(`i${at}`)))),
    exits: fc.array(fc.tuple(fc.nat(7), fc.nat(3), fc.constantFrom(...EXIT_REASONS)), { maxLength: 3 }),
    retried: fc.array(fc.nat(3), { maxLength: 1 }),
  })
  .map(({ app, isGone, instances, exits, retried }) =>
    droplet({
      desired: desired(app),
      ...(isGone === 0 && { goneMs: NOW - 3600 * SECOND }),
      instances,
      exits: exits.map(([of, index, reason]) => exit(`i${of}`, { index, reason, atMs: NOW - 2 * SECOND })),
      ...(retried.length > 0 && { retries: new Map(retried.map((index) => [index, NOW - SECOND])) }),
    }),
  );

const aHold: fc.Arbitrary<OperatorHold> = fc
  .tuple(
    fc.constantFrom(...HOLD_COVERS),
    fc.constantFrom({}, { droplet: 'droplet-1' }, { droplet: 'x' }, { dea: 'dea-1' }, { dea: 'dea-2' }),
  )
  .map(([covers, of]) => operatorHold({ covers, ...of }));

/** The rule of the policy, spelled another way than in the product. */
function isPaused(
  on: readonly OperatorHold[],
  what: 'starts' | 'stops',
  d: Droplet,
  dea: string | undefined,
) {
  return on.some((hold) => {
    if (hold.covers !== 'all' && hold.covers !== what) return false;
    if (hold.droplet !== undefined) return hold.droplet === d.id;
    return hold.dea === undefined || hold.dea === dea;
  });
}

/** DEA of the instance that the start of a slot replaces. */
function deaOfSlot(d: Droplet, index: number): string | undefined {
  const candidates = d.instances.filter((i) => i.index === index && i.version === 'v1');
  candidates.sort((a, b) => a.firstListedMs - b.firstListedMs || (a.guid < b.guid ? -1 : 1));
  return candidates.at(-1)?.dea;
}

it('nothing that is paused is decided, and nothing that was decided before the pause is sent', () => {
  let held = 0;
  let refused = 0;
  fc.assert(
    fc.property(aDroplet, fc.array(aHold, { minLength: 1, maxLength: 3 }), (d, operatorHolds) => {
      const isStopPaused = (guid: string) =>
        isPaused(operatorHolds, 'stops', d, d.instances.find((i) => i.guid === guid)?.dea);
      const isStartPaused = (of: Droplet, index: number) =>
        isPaused(operatorHolds, 'starts', of, deaOfSlot(of, index));
      const under = decide(d, DEAS, holds({ operatorHolds }), NOW, SETTINGS);
      for (const decision of under.decisions) {
        if (decision.kind === 'start') expect(isStartPaused(d, decision.index)).toBe(false);
        if (decision.kind === 'stop') expect(isStopPaused(decision.instance)).toBe(false);
        if (decision.kind === 'held' && decision.hold === 'operator') held++;
      }
      const record = applyDecision(d, decide(d, DEAS, holds(), NOW, SETTINGS));
      const recheck = new Recheck(record, DEAS, holds({ operatorHolds }), NOW, SETTINGS);
      for (const { index, version, start } of record.slots.values()) {
        if (start === undefined || !isStartPaused(record, index)) continue;
        expect(recheck.checkStart({ id: start.id, index, version })).not.toHaveProperty('send');
        refused++;
      }
      for (const stop of record.stops.values()) {
        if (!isStopPaused(stop.instance)) continue;
        expect(recheck.checkStop({ id: stop.id, instance: stop.instance })).not.toHaveProperty('send');
        refused++;
      }
    }),
    { numRuns: 1500 },
  );
  expect(held).toBeGreaterThan(300);
  expect(refused).toBeGreaterThan(300);
});

it('a pause of another droplet changes no decision', () => {
  fc.assert(
    fc.property(aDroplet, fc.constantFrom(...HOLD_COVERS), (d, covers) => {
      const on = holds({ operatorHolds: [operatorHold({ covers, droplet: 'x' })] });
      expect(decide(d, DEAS, on, NOW, SETTINGS)).toEqual(decide(d, DEAS, holds(), NOW, SETTINGS));
    }),
    { numRuns: 500 },
  );
});
