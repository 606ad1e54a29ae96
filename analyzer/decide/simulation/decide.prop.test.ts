import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type {
  DeaLiveness,
  Droplet,
  Exit,
  Holds,
  Instance,
  Outcome,
  PendingStop,
  Slot,
} from '../../../common/model/droplet.ts';
import { acceptsStart, acceptsStop } from '../../../common/policy/admission.ts';
import { type Deas, isExitInForce, lastHeartbeatMs } from '../../../common/policy/fleet/liveness.ts';
import { runningForStart } from '../../../common/policy/slots/running-counts.ts';
import { isWantedIgnoringMassDelete } from '../../../common/policy/slots/wanted.ts';
import { takeSnapshot } from '../../../common/policy/snapshot.ts';
import { droplet, NOW, SECOND, SETTINGS } from '../../../common/testing/builders.ts';
import { inputs } from '../../../common/testing/property-seed.ts';
import { decide } from '../decide.ts';
import { Cloud } from './cloud.ts';
import { applyDecision } from './fixtures.ts';
import { seeded } from './truth.ts';

const DEAS = ['dea-1', 'dea-2', 'dea-3', 'dea-4'];
const version = fc.constantFrom('v1', 'v1', 'v1', 'v2', '__proto__');
const guid = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g');
const index = fc.nat(4);
/** Times close to those at which a decision changes. */
const ago = fc
  .tuple(fc.constantFrom(0, 10, 15, 30, 60, 90, 180, 240, 500, 1000), fc.integer({ min: -5, max: 5 }))
  .map(([s, jitter]) => NOW - Math.max(0, s * SECOND + jitter));

const instance: fc.Arbitrary<Instance> = fc
  .record({
    guid,
    index,
    version,
    state: fc.constantFrom('RUNNING', 'RUNNING', 'RUNNING', 'STARTING', 'CRASHED', 'EVACUATING', 'RESUMING'),
    stateTimestampS: fc.nat(100),
    dea: fc.constantFrom(...DEAS),
    firstListedMs: ago,
    lastListedMs: fc.option(ago, { nil: undefined, freq: 3 }),
  })
  .map(({ lastListedMs, ...rest }) => (lastListedMs === undefined ? rest : { ...rest, lastListedMs }));

const exit: fc.Arbitrary<Exit> = fc.record({
  instance: guid,
  index,
  version,
  reason: fc.constantFrom('CRASHED', 'STOPPED', 'DEA_SHUTDOWN', 'DEA_EVACUATION'),
  atMs: ago,
  n: fc.nat(20),
  crashTimestampS: ago.map((ms) => ms / 1000),
});

const slot: fc.Arbitrary<Slot> = fc
  .record({
    index,
    version,
    crashes: fc.nat(6),
    lastCrash: ago,
    attempts: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
    retry: ago,
    start: fc.option(
      fc.record({
        id: fc.constantFrom('s1', 's2', 's3', 's4'),
        reason: fc.constantFrom('missing', 'crashed', 'evacuated', 'flapping'),
        priority: fc.constantFrom('high', 'normal', 'low'),
        decidedMs: ago,
      }),
      { nil: undefined },
    ),
  })
  .map(({ index, version, crashes, lastCrash, attempts, retry, start }) => ({
    index,
    version,
    crashes,
    flapping: crashes > 1,
    ...(crashes > 0 ? { lastCrashMs: lastCrash } : {}),
    ...(attempts === undefined ? {} : { attempts, retryMs: retry + 60 * SECOND }),
    ...(start === undefined
      ? {}
      : {
          start: {
            ...start,
            reason: start.reason as NonNullable<Slot['start']>['reason'],
            priority: start.priority as NonNullable<Slot['start']>['priority'],
            ...(start.reason === 'flapping' ? { dueMs: start.decidedMs + 60 * SECOND } : {}),
          },
        }),
  }));

const stop: fc.Arbitrary<PendingStop> = fc.record({
  instance: guid,
  id: fc.constantFrom('t1', 't2', 't3'),
  reason: fc.constantFrom('stopped', 'extra_index', 'duplicate'),
  decidedMs: ago,
});

const outcome: fc.Arbitrary<Outcome> = fc.record({
  id: fc.constantFrom('s1', 's2', 't1', 't2', 'x'),
  outcome: fc.constantFrom('sent', 'dropped'),
  atMs: ago,
});

const desired = fc.record({
  state: fc.constantFrom('STARTED', 'STARTED', 'STARTED', 'STOPPED'),
  packageState: fc.constantFrom('STAGED', 'STAGED', 'STAGED', 'PENDING'),
  instances: fc.nat(4),
  version,
  memoryMb: fc.constant(256),
  updatedAtS: fc.constant(1_398_000_000),
}) as fc.Arbitrary<NonNullable<Droplet['desired']>>;

const record: fc.Arbitrary<Droplet> = fc
  .record({
    firstSeenMs: ago,
    desired: fc.option(desired, { nil: undefined, freq: 8 }),
    goneMs: fc.option(ago, { nil: undefined, freq: 3 }),
    updatedMs: fc.option(ago, { nil: undefined }),
    versionSinceMs: fc.option(ago, { nil: undefined }),
    isUpdateHandled: fc.boolean(),
    listedMs: fc.option(ago, { nil: undefined }),
    instances: fc.uniqueArray(instance, { selector: (i) => i.guid, maxLength: 7 }),
    exits: fc.uniqueArray(exit, { selector: (e) => e.instance, maxLength: 4 }),
    handledExits: fc.nat(20),
    slots: fc.uniqueArray(slot, { selector: (s) => s.index, maxLength: 4 }),
    stops: fc.uniqueArray(stop, { selector: (s) => s.instance, maxLength: 3 }),
    outcomes: fc.uniqueArray(outcome, { selector: (o) => o.id, maxLength: 4 }),
  })
  .map(({ goneMs, updatedMs, versionSinceMs, isUpdateHandled, listedMs, ...rest }) =>
    droplet({
      ...rest,
      ...(goneMs === undefined ? {} : { goneMs }),
      ...(updatedMs === undefined ? {} : { updatedMs }),
      ...(versionSinceMs === undefined ? {} : { versionSinceMs }),
      ...(updatedMs === undefined || !isUpdateHandled ? {} : { handledUpdateMs: updatedMs }),
      ...(listedMs === undefined ? {} : { listedMs }),
    }),
  );

const liveness: fc.Arbitrary<Map<string, DeaLiveness>> = fc
  .array(
    fc.record({
      name: fc.constantFrom(...DEAS),
      lastHeartbeatMs: ago,
      gapMs: fc.constantFrom(10_000, 30_000),
    }),
  )
  .map(
    (all) =>
      new Map(
        all.map((d) => [
          d.name,
          { lastHeartbeatMs: d.lastHeartbeatMs, previousHeartbeatMs: d.lastHeartbeatMs - d.gapMs },
        ]),
      ),
  );

const holds: fc.Arbitrary<Holds> = fc.record({
  desiredUnavailable: fc.boolean(),
  actualNotFresh: fc.boolean(),
  massLossDeas: fc.subarray(DEAS).map((names) => new Set(names)),
  heartbeatWatermarkMs: ago,
  massLossEvaluated: fc.record({ sinceMs: ago, untilMs: ago }),
  massDelete: fc.boolean(),
  lastPassBegunMs: ago,
  lastFullPassBegunMs: ago,
});

const world = fc.tuple(record, liveness, fc.oneof(holds, fc.constant(NO_HOLDS())));

function NO_HOLDS(): Holds {
  return {
    desiredUnavailable: false,
    actualNotFresh: false,
    massLossDeas: new Set(),
    heartbeatWatermarkMs: NOW,
    massLossEvaluated: { sinceMs: 0, untilMs: NOW },
    massDelete: false,
    lastPassBegunMs: NOW - SECOND,
    lastFullPassBegunMs: NOW - SECOND,
  };
}

const RUNS = inputs(2000);

describe('rule 1: never hurt what is healthy', () => {
  it('starts no slot that is not wanted or has a live instance, and sends no start that the controller would refuse', () => {
    fc.assert(
      fc.property(world, ([d, deas, h]) => {
        const snapshot = takeSnapshot(d, deas, h, NOW, SETTINGS);
        for (const decision of decide(d, deas, h, NOW, SETTINGS).decisions) {
          if (decision.kind !== 'start') continue;
          expect(isWantedIgnoringMassDelete(d, decision.index, h)).toBe(true);
          expect(decision.version).toBe(d.desired?.version);
          expect(snapshot.live.has(decision.index)).toBe(false);
          expect(acceptsStart(d, decision.version, decision.index, runningForStart(snapshot))).toBe(true);
        }
      }),
      RUNS,
    );
  });

  it('stops a wanted RUNNING instance only as a duplicate, and another RUNNING one stays', () => {
    fc.assert(
      fc.property(world, ([d, deas, h]) => {
        const { effectiveStates, live } = takeSnapshot(d, deas, h, NOW, SETTINGS);
        const decided = decide(d, deas, h, NOW, SETTINGS);
        const stopped = new Set(decided.decisions.flatMap((s) => (s.kind === 'stop' ? [s.instance] : [])));
        for (const [i, standing] of effectiveStates) {
          if (!stopped.has(i.guid) || standing !== 'RUNNING') continue;
          const wanted = d.goneMs === undefined && i.version === d.desired?.version;
          if (!wanted || d.desired?.state !== 'STARTED' || i.index >= d.desired.instances) continue;
          const stays = live
            .get(i.index)
            ?.filter((o) => effectiveStates.get(o) === 'RUNNING' && !decided.stops.has(o.guid));
          expect(stays?.length).toBeGreaterThan(0);
        }
      }),
      RUNS,
    );
  });

  it('stops only running instances, and the controller would accept all pending stops together', () => {
    fc.assert(
      fc.property(world, ([d, deas, h]) => {
        const { effectiveStates } = takeSnapshot(d, deas, h, NOW, SETTINGS);
        const decided = decide(d, deas, h, NOW, SETTINGS);
        const onTheirWay = [...decided.stops.values()].filter((s) => s.held === undefined);
        const stay = [...effectiveStates].filter(
          ([i, s]) =>
            s === 'RUNNING' &&
            i.version === d.desired?.version &&
            !onTheirWay.some((o) => o.instance === i.guid),
        );
        for (const decision of decided.decisions) {
          if (decision.kind !== 'stop') continue;
          const found = [...effectiveStates.keys()].find((i) => i.guid === decision.instance);
          expect(found).toBeDefined();
          expect(found && acceptsStop(d, found, stay.length)).toBe(true);
        }
      }),
      RUNS,
    );
  });
});

describe('the result', () => {
  it('is stable: stored and decided again at the same time, it decides nothing more', () => {
    fc.assert(
      fc.property(world, ([d, deas, h]) => {
        const next = applyDecision(d, decide(d, deas, h, NOW, SETTINGS));
        const again = decide(next, deas, h, NOW, SETTINGS);
        expect(again.decisions).toEqual([]);
        expect(again.changed && !again.remove).toBe(false);
      }),
      RUNS,
    );
  });

  it('keeps an exit that alone shows the end of an instance, as long as the record has the instance', () => {
    fc.assert(
      fc.property(world, ([d, deas, h]) => {
        const { exits } = takeSnapshot(d, deas, h, NOW, SETTINGS);
        const { exitsToForget, instancesToForget } = decide(d, deas, h, NOW, SETTINGS);
        for (const i of d.instances) {
          const known = exits.get(i.guid);
          if (known === undefined || instancesToForget.includes(i.guid) || i.lastListedMs !== undefined)
            continue;
          if (isExitInForce(known, lastHeartbeatMs(i, deas), SETTINGS))
            expect(exitsToForget).not.toContain(i.guid);
        }
      }),
      RUNS,
    );
  });

  it('leaves its input unchanged, has distinct ids, and requeues only in the future', () => {
    fc.assert(
      fc.property(world, ([d, deas, h]) => {
        const before = structuredClone(d);
        const { decisions, requeueAtMs } = decide(d, deas, h, NOW, SETTINGS);
        expect(d).toEqual(before);
        const made = decisions
          .filter(({ kind }) => kind !== 'raise' && kind !== 'cancel')
          .map(({ id }) => id);
        expect(new Set(made).size).toBe(made.length);
        if (requeueAtMs !== undefined) expect(requeueAtMs).toBeGreaterThan(NOW);
      }),
      RUNS,
    );
  });

  it('does not change with time alone before its requeue time', () => {
    fc.assert(
      fc.property(world, fc.double({ min: 0, max: 1, noNaN: true }), ([d, deas, h], share) => {
        const decided = decide(d, deas, h, NOW, SETTINGS);
        // An instance still listed after its exit is believed at one of the next reconciles.
        if (decided.remove || d.exits.length > 0) return;
        const next = applyDecision(d, decided);
        const then = NOW + Math.floor(share * ((decided.requeueAtMs ?? NOW + 1200 * SECOND) - NOW - 1));
        // Ticks find silent DEAs: here every DEA that sends heartbeats goes on sending them.
        const later = new Map(
          [...deas].map(([name, x]) =>
            NOW - x.lastHeartbeatMs <= SETTINGS.dropletLostMs / 2
              ? [name, { lastHeartbeatMs: then, previousHeartbeatMs: x.previousHeartbeatMs ?? 0 }]
              : [name, x],
          ),
        );
        const silent = (at: number, known: Deas) =>
          next.instances.filter((i) => at - lastHeartbeatMs(i, known) > SETTINGS.dropletLostMs).length;
        // A stop that the controller accepts only once another instance is silent comes when a tick finds that silence.
        const kinds = silent(NOW, deas) === silent(then, later) ? ['start', 'stop'] : ['start'];
        const again = decide(next, later, h, then, SETTINGS);
        expect(again.decisions.filter(({ kind }) => kinds.includes(kind))).toEqual([]);
      }),
      RUNS,
    );
  });
});

describe('rule 2: what is missing is started and what is surplus stopped, in bounded time', () => {
  /** A tenth of the jobs is lost, also of those added again by the checks after 30, 120, 480 s and then every 480 s. */
  const LIMIT_S = 3600;
  /**
   * Long enough for every waiting start to be sent. A start decided on an exit that proved wrong creates a duplicate.
   */
  const STABLE_S = 600;

  /** Whether the app becomes as desired in time, and stays so. */
  function settles(cloud: Cloud): boolean {
    let stableS = 0;
    for (let step = 0; step < LIMIT_S + STABLE_S && stableS < STABLE_S; step++) {
      cloud.step();
      stableS = cloud.isConverged() ? stableS + 1 : 0;
    }
    return stableS === STABLE_S;
  }

  it('from any record, with lost jobs and failing starts', () => {
    fc.assert(
      fc.property(record, desired, fc.nat(), (d, wanted, seed) => {
        const settings = { ...SETTINGS, giveupCrashNumber: 0 };
        const start = droplet({
          ...d,
          slots: [...d.slots.values()],
          stops: d.stops.values(),
          outcomes: d.outcomes.values(),
          desired: { ...wanted, packageState: 'STAGED' },
        });
        delete start.goneMs;
        const cloud = new Cloud(start, DEAS, settings, NOW, seeded(seed));
        for (const i of d.instances) {
          if (i.lastListedMs !== undefined || i.state === 'CRASHED' || i.state === 'RESUMING') continue;
          const leaves =
            i.state === 'EVACUATING' ||
            d.exits.some((e) => e.instance === i.guid && e.reason === 'DEA_EVACUATION');
          const { guid, index, version, dea } = i;
          cloud.place({ guid, index, version, dea, state: leaves ? 'EVACUATING' : 'RUNNING' });
        }
        cloud.run(20);
        expect(settles(cloud), JSON.stringify(cloud.state)).toBe(true);
        expect(cloud.harm).toEqual([]);
        expect(cloud.refused).toEqual([]);
      }),
      inputs(150),
    );
  });

  const event = fc.oneof(
    fc.record({ kind: fc.constantFrom('crash', 'evacuate', 'shutdown'), which: fc.nat(6) }),
    fc.record({ kind: fc.constantFrom('kill dea', 'cut dea', 'back dea'), which: fc.nat(3) }),
    fc.record({ kind: fc.constant('duplicate'), which: fc.nat(3) }),
    fc.record({ kind: fc.constant('scale'), which: fc.nat(4) }),
    fc.record({ kind: fc.constant('push'), which: fc.nat(3) }),
    fc.record({ kind: fc.constantFrom('map route', 'map route, pass'), which: fc.nat(3) }),
    fc.record({ kind: fc.constant('silent end'), which: fc.nat(6) }),
    fc.record({ kind: fc.constant('single heartbeat'), which: fc.nat(3) }),
    fc.record({ kind: fc.constantFrom('stop app', 'stop app silently', 'start app'), which: fc.nat(1) }),
    fc.record({ kind: fc.constant('wait'), which: fc.nat(60) }),
  );

  function happen(cloud: Cloud, { kind, which }: { kind: string; which: number }): void {
    const victim = cloud.instances.filter(({ state }) => state === 'RUNNING')[which];
    const dea = DEAS[which] ?? 'dea-1';
    if (kind === 'wait') cloud.run(which);
    if (kind === 'crash' && victim) cloud.kill(victim.guid, 'CRASHED');
    if (kind === 'evacuate' && victim) cloud.kill(victim.guid, 'DEA_EVACUATION');
    if (kind === 'shutdown' && victim) cloud.kill(victim.guid, 'DEA_SHUTDOWN');
    if (kind === 'kill dea') cloud.killDea(dea);
    if (kind === 'cut dea') cloud.setReachable(dea, false);
    if (kind === 'back dea') cloud.setReachable(dea, true);
    if (kind === 'duplicate') cloud.place({ index: which });
    if (kind === 'scale') cloud.update({ instances: which });
    if (kind === 'push') cloud.update({ version: `v${which}` });
    if (kind.startsWith('map route')) cloud.mapRoute(`v${which}`);
    if (kind === 'map route, pass') cloud.pass();
    if (kind === 'silent end' && victim) cloud.vanish(victim.guid);
    if (kind === 'single heartbeat') cloud.sendSingle(dea);
    if (kind === 'stop app silently') {
      for (const { guid } of [...cloud.instances]) cloud.vanish(guid);
      cloud.update({ state: 'STOPPED' });
    }
    if (kind === 'stop app') cloud.update({ state: 'STOPPED' });
    if (kind === 'start app') cloud.update({ state: 'STARTED' });
    cloud.run(which % 3);
  }

  it('after any series of crashes, lost hosts, evacuations, duplicates, pushes and scalings', () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 25 }), fc.nat(), (events, seed) => {
        const settings = { ...SETTINGS, giveupCrashNumber: 0 };
        const start = droplet({ firstSeenMs: NOW });
        if (start.desired) start.desired.instances = 3;
        const cloud = new Cloud(start, DEAS, settings, NOW, seeded(seed));
        cloud.run(90);
        for (const e of events) happen(cloud, e);
        for (const name of DEAS) cloud.setReachable(name, true);
        expect(settles(cloud), JSON.stringify(cloud.state)).toBe(true);
        expect(cloud.harm).toEqual([]);
        expect(cloud.refused).toEqual([]);
      }),
      inputs(200),
    );
  });
});
