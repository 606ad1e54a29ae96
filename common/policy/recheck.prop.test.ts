/** Properties of rechecks that share a read: they are sent together, and must be right together. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { DeaLiveness, Droplet, Instance, Outcome } from '../model/droplet.ts';
import { deas, desired, droplet, holds, instance, LOST, NOW, SECOND, SETTINGS } from '../testing/builders.ts';
import { Recheck } from './recheck.ts';
import { pendingStops, surplus, surplusReasonOf } from './slots/surplus.ts';
import { takeSnapshot } from './snapshot.ts';

const anInstance = (guid: string): fc.Arbitrary<Instance> =>
  fc
    .record({
      index: fc.nat(4),
      version: fc.constantFrom('v1', 'v1', 'v1', 'v0', 'v2'),
      state: fc.constantFrom('RUNNING', 'RUNNING', 'STARTING', 'EVACUATING', 'CRASHED'),
      stateTimestampS: fc.nat(2),
      dea: fc.constantFrom('dea-1', 'dea-2', 'dea-silent'),
      firstListedMs: fc.constantFrom(NOW - 3600 * SECOND, NOW - 5 * SECOND),
      isListed: fc.boolean(),
    })
    .map(({ isListed, ...over }) =>
      instance(guid, { ...over, ...(!isListed && { lastListedMs: NOW - 3 * SECOND }) }),
    );

type StopState = 'none' | 'waiting' | 'sent' | 'sent long ago' | 'dropped' | 'held';
const STOP_STATES = [
  'waiting',
  'waiting',
  'waiting',
  'none',
  'sent',
  'sent long ago',
  'dropped',
  'held',
] as const;

/** A droplet with many instances, some of which have a stop in any state. */
const aDroplet: fc.Arbitrary<Droplet> = fc
  .record({
    app: fc.record({
      state: fc.constantFrom('STARTED', 'STARTED', 'STARTED', 'STOPPED'),
      instances: fc.nat(4),
      packageState: fc.constantFrom('STAGED', 'STAGED', 'PENDING'),
    }),
    isGone: fc.integer({ min: 0, max: 5 }),
    instances: fc
      .integer({ min: 1, max: 12 })
      .chain((n) => fc.tuple(...Array.from({ length: n }, (_, at) => anInstance(`i${at}`)))),
    stops: fc.array(fc.constantFrom<StopState>(...STOP_STATES), { minLength: 12, maxLength: 12 }),
  })
  .map(({ app, isGone, instances, stops }) =>
    droplet({
      desired: desired(app),
      ...(isGone === 0 && { goneMs: NOW - 3600 * SECOND }),
      instances,
      stops: instances.flatMap(({ guid }, at) => {
        if (stops[at] === 'none') return [];
        const held = stops[at] === 'held' ? ({ held: 'desired_unavailable' } as const) : {};
        return [{ instance: guid, id: `p-${guid}`, reason: 'stopped', decidedMs: NOW - SECOND, ...held }];
      }),
      outcomes: instances.flatMap(({ guid }, at): Outcome[] => {
        const id = `p-${guid}`;
        if (stops[at] === 'sent') return [{ id, outcome: 'sent', atMs: NOW - SECOND }];
        if (stops[at] === 'sent long ago') return [{ id, outcome: 'sent', atMs: NOW - LOST - 1 }];
        return stops[at] === 'dropped' ? [{ id, outcome: 'dropped', atMs: NOW - SECOND }] : [];
      }),
    }),
  );

const DEAS: ReadonlyMap<string, DeaLiveness> = deas({ 'dea-silent': { lastHeartbeatMs: NOW - 20 * SECOND } });
const recheckOf = (d: Droplet) => new Recheck(d, DEAS, holds(), NOW, SETTINGS);
const isSent = (recheck: Recheck, guid: string) =>
  'send' in recheck.checkStop({ id: `p-${guid}`, instance: guid });
/** Guids of the instances whose stop is sent, all on one read. */
const sentOf = (d: Droplet) => {
  const recheck = recheckOf(d);
  return d.instances.filter(({ guid }) => isSent(recheck, guid)).map(({ guid }) => guid);
};

it('the reason of one instance is the one that all surplus instances are found with', () => {
  fc.assert(
    fc.property(aDroplet, (d) => {
      const snapshot = takeSnapshot(d, DEAS, holds(), NOW, SETTINGS);
      const pending = pendingStops(snapshot);
      for (const of of d.instances) {
        const others = new Set([...pending].filter((guid) => guid !== of.guid));
        const reason = surplus(snapshot, others).find(({ instance: found }) => found === of)?.reason;
        const isListed = of.lastListedMs === undefined;
        expect(isListed ? surplusReasonOf(snapshot, of, pending) : undefined).toBe(reason);
      }
    }),
    { numRuns: 500 },
  );
});

it('stops that are sent on one read never leave fewer instances than the controller requires, nor an empty slot', () => {
  let several = 0;
  fc.assert(
    fc.property(aDroplet, (d) => {
      const sent = sentOf(d);
      if (sent.length > 1) several++;
      const app = d.desired;
      if (sent.length === 0 || app?.state !== 'STARTED' || d.goneMs !== undefined) return;
      const snapshot = takeSnapshot(d, DEAS, holds(), NOW, SETTINGS);
      const runs = [...snapshot.effectiveStates]
        .filter(
          ([i, state]) => state === 'RUNNING' && i.lastListedMs === undefined && i.version === app.version,
        )
        .map(([i]) => i);
      // Stops that were sent before leave, too.
      const leaving = new Set([
        ...sent,
        ...d.instances
          .map(({ guid }) => guid)
          .filter((guid) => {
            const outcome = d.outcomes.get(`p-${guid}`);
            return outcome?.outcome === 'sent' && outcome.atMs >= NOW - LOST && !d.stops.get(guid)?.held;
          }),
      ]);
      const stays = runs.filter(({ guid }) => !leaving.has(guid));
      for (const guid of sent) {
        const of = d.instances.find((i) => i.guid === guid) as Instance;
        expect(stays.length).toBeGreaterThanOrEqual(of.version === app.version ? app.instances : 1);
      }
      if (app.packageState !== 'STAGED') return;
      for (const { index } of runs.filter((i) => sent.includes(i.guid) && i.index < app.instances)) {
        expect(stays.some((i) => i.index === index)).toBe(true);
      }
    }),
    { numRuns: 1500 },
  );
  expect(several).toBeGreaterThan(30);
});

it('what is sent on one read would also be sent one after the other, in any order', () => {
  fc.assert(
    fc.property(aDroplet, fc.infiniteStream(fc.nat(1000)), (d, order) => {
      const together = sentOf(d);
      const waiting = [...together].sort(() => (order.next().value as number) - 500);
      let record = d;
      for (const guid of waiting) {
        expect(isSent(recheckOf(record), guid)).toBe(true);
        const id = `p-${guid}`;
        const outcomes = new Map([...record.outcomes, [id, { id, outcome: 'sent', atMs: NOW } as const]]);
        record = { ...record, outcomes };
      }
    }),
    { numRuns: 300 },
  );
});
