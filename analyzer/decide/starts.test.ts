import { describe, expect, it } from 'vitest';
import type { Droplet, Exit, Holds, Instance, Outcome, PendingStart } from '../../common/model/droplet.ts';
import type { Deas } from '../../common/policy/fleet/liveness.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  LOST,
  NOW,
  SECOND,
  SETTINGS,
  slot,
} from '../../common/testing/builders.ts';
import { type DecisionResult, decide } from './decide.ts';
import { applyDecision } from './simulation/fixtures.ts';

interface Conditions {
  deas?: Deas;
  holds?: Partial<Holds>;
  nowMs?: number;
}

function evaluate(d: Droplet, conditions: Conditions = {}): DecisionResult {
  return decide(d, conditions.deas ?? deas(), holds(conditions.holds), conditions.nowMs ?? NOW, SETTINGS);
}

/** `reason index priority` of each start decided. */
function starts(d: Droplet, conditions: Conditions = {}): string[] {
  return evaluate(d, conditions).decisions.flatMap((x) =>
    x.kind === 'start' ? [`${x.reason} ${x.index} ${x.priority}`] : [],
  );
}

const kinds = (decided: DecisionResult) => decided.decisions.map((d) => d.kind);

function waiting(over: Partial<PendingStart> = {}): PendingStart {
  return { id: 'd1', reason: 'missing', priority: 'normal', decidedMs: NOW - 5 * SECOND, ...over };
}

const sent = (agoMs: number, id = 'd1'): Outcome => ({ id, outcome: 'sent', atMs: NOW - agoMs });
const silent = (agoMs: number) =>
  deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs, previousHeartbeatMs: NOW - agoMs - 10_000 } });

describe('a version that has just become live without a droplet.updated', () => {
  /** Brought by a pass 5 s ago; index 0 runs as the old version on dea-1. */
  const renamed = (over: Partial<Instance> = {}) =>
    droplet({
      desired: desired({ version: 'v2' }),
      versionSinceMs: NOW - 5 * SECOND,
      instances: [instance('a', over)],
    });

  it.each<[string, Droplet, Conditions, string[]]>([
    ['the DEA that lists the old version has sent no heartbeat since', renamed(), { deas: silent(7000) }, []],
    ['it sent one in the millisecond of the pass', renamed(), { deas: silent(5000) }, []],
    [
      'it has sent one, which still lists the old version',
      renamed(),
      { deas: silent(4999) },
      ['missing 0 normal'],
    ],
    [
      'its heartbeat is not stored yet: only its time is',
      renamed(),
      { deas: silent(3000), holds: { heartbeatWatermarkMs: NOW - 3001 } },
      [],
    ],
    [
      'the heartbeat before is stored',
      renamed({ dea: 'dea-2' }),
      {
        deas: deas({ 'dea-2': { lastHeartbeatMs: NOW, previousHeartbeatMs: NOW - 4000 } }),
        holds: { heartbeatWatermarkMs: NOW - 1 },
      },
      ['missing 0 normal'],
    ],
    [
      'what it listed may be lost with an ingestor',
      renamed(),
      { deas: silent(3000), holds: { lossPossibleUntilMs: NOW - 2000 } },
      [],
    ],
    [
      'the DEA of another instance of the droplet has sent none',
      {
        ...renamed(),
        instances: [instance('a'), instance('b', { index: 1, state: 'CRASHED', dea: 'dea-2' })],
      },
      { deas: deas({ 'dea-2': { lastHeartbeatMs: NOW - 7000 } }) },
      [],
    ],
    [
      'what its DEA no longer lists is not waited for',
      renamed({ lastListedMs: NOW - 7000 }),
      { deas: silent(7000) },
      ['missing 0 normal'],
    ],
    ['no instance is known', { ...renamed(), instances: [] }, {}, ['missing 0 normal']],
    [
      'after droplet_lost a silent DEA is not waited for',
      { ...renamed(), versionSinceMs: NOW - LOST - 1 },
      { deas: silent(LOST + 1) },
      ['missing 0 normal'],
    ],
    ['for droplet_lost it is', { ...renamed(), versionSinceMs: NOW - LOST }, { deas: silent(LOST) }, []],
  ])('%s', (_, d, conditions, expected) => {
    expect(starts(d, conditions)).toEqual(expected);
  });

  it('is evaluated again within a few seconds, because an equal heartbeat makes nothing due', () => {
    expect(evaluate(renamed(), { deas: silent(7000) }).requeueAtMs).toBeLessThanOrEqual(NOW + 5 * SECOND);
  });

  it('delays no restart after a crash', () => {
    const d = { ...renamed(), exits: [exit('b', { version: 'v2' })] };
    expect(starts(d, { deas: silent(7000) })).toEqual(['crashed 0 low']);
  });
});

describe('an instance of a version that no pass has brought, first listed after the latest pass began', () => {
  const NEW = { version: 'v2', firstListedMs: NOW - 2 * SECOND };
  const pass = (agoMs: number) => ({ holds: { lastPassBegunMs: NOW - agoMs } });
  const d = droplet({ instances: [instance('b', NEW)] });

  it('holds starts until a pass begins, and asks for it', () => {
    const held = evaluate(d, pass(10_000));
    expect(held.decisions).toMatchObject([{ kind: 'held', what: 'start', hold: 'update_required' }]);
    expect(held.passNeededSinceMs).toBe(NEW.firstListedMs);
    expect(held.requeueAtMs).toBeLessThanOrEqual(NOW + SECOND);
    const open = evaluate(d, pass(1999));
    expect(open.decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
    expect(open.passNeededSinceMs).toBeUndefined();
  });

  it('asks for a pass also while nothing is missing', () => {
    const both = droplet({ instances: [instance('a'), instance('b', NEW)] });
    expect(evaluate(both, pass(10_000))).toMatchObject({
      decisions: [{ kind: 'held', what: 'stop', instance: 'b', hold: 'update_required' }],
      passNeededSinceMs: NEW.firstListedMs,
    });
  });

  it.each<[string, Droplet]>([
    ['of the live version', droplet({ instances: [instance('b', { ...NEW, version: 'v1' })] })],
    ['CRASHED', droplet({ instances: [instance('a'), instance('b', { ...NEW, state: 'CRASHED' })] })],
    ['of a droplet that is gone', { ...d, goneMs: NOW - SECOND }],
    ['of a droplet that was never desired', droplet({ desired: undefined, instances: d.instances })],
  ])('not one %s', (_, other) => {
    expect(evaluate(other, pass(10_000)).passNeededSinceMs).toBeUndefined();
  });
});

describe('missing', () => {
  it.each<[string, Droplet, Conditions, string[]]>([
    ['a wanted slot without an instance', droplet(), {}, ['missing 0 normal']],
    [
      'each missing index separately',
      droplet({ desired: desired({ instances: 3 }), instances: [instance('a', { index: 1 })] }),
      {},
      ['missing 0 normal', 'missing 2 normal'],
    ],
    ['RUNNING', droplet({ instances: [instance('a')] }), {}, []],
    ['STARTING', droplet({ instances: [instance('a', { state: 'STARTING' })] }), {}, []],
    ['only CRASHED', droplet({ instances: [instance('a', { state: 'CRASHED' })] }), {}, ['missing 0 normal']],
    [
      'only RESUMING',
      droplet({ instances: [instance('a', { state: 'RESUMING' })] }),
      {},
      ['missing 0 normal'],
    ],
    [
      'only another version',
      droplet({ instances: [instance('a', { version: 'v0' })] }),
      {},
      ['missing 0 normal'],
    ],
    [
      'the DEA silent for exactly droplet_lost',
      droplet({ instances: [instance('a')] }),
      { deas: silent(LOST) },
      [],
    ],
    [
      'the DEA silent for longer',
      droplet({ instances: [instance('a')] }),
      { deas: silent(LOST + 1) },
      ['missing 0 normal'],
    ],
    ['the DEA expired', droplet({ instances: [instance('a')] }), { deas: new Map() }, ['missing 0 normal']],
    [
      'the DEA not known yet, the instance just listed',
      droplet({ instances: [instance('a', { firstListedMs: NOW - SECOND })] }),
      { deas: new Map() },
      [],
    ],
    [
      'off the list for droplet_lost',
      droplet({ instances: [instance('a', { lastListedMs: NOW - LOST })] }),
      {},
      [],
    ],
    [
      'off the list for longer',
      droplet({ instances: [instance('a', { lastListedMs: NOW - LOST - 1 })] }),
      {},
      ['missing 0 normal'],
    ],
    ['STOPPED', droplet({ desired: desired({ state: 'STOPPED' }) }), {}, []],
    [
      'a processed crash does not delay it',
      droplet({ exits: [exit('a', { atMs: NOW - SECOND })], handledExits: 1e9 }),
      {},
      ['missing 0 normal'],
    ],
    [
      'of several STOPPED exits the last one counts, in any order of reading',
      droplet({
        exits: [
          exit('a', { reason: 'STOPPED', atMs: NOW - SECOND }),
          exit('b', { reason: 'STOPPED', atMs: NOW - LOST }),
        ],
        handledExits: 1e9,
      }),
      {},
      [],
    ],
    ['PENDING', droplet({ desired: desired({ packageState: 'PENDING' }) }), {}, []],
    ['FAILED', droplet({ desired: desired({ packageState: 'FAILED' }) }), {}, []],
    ['no instances wanted', droplet({ desired: desired({ instances: 0 }) }), {}, []],
    ['desired state unknown', droplet({ desired: undefined }), {}, []],
    ['gone from the desired state', droplet({ goneMs: NOW - SECOND }), {}, []],
    ['first seen less than droplet_lost ago', droplet({ firstSeenMs: NOW - LOST + 1 }), {}, []],
    ['first seen droplet_lost ago', droplet({ firstSeenMs: NOW - LOST }), {}, ['missing 0 normal']],
    [
      'updated less than droplet_lost ago',
      droplet({ updatedMs: NOW - LOST + 1, handledUpdateMs: NOW - LOST + 1 }),
      {},
      [],
    ],
    ['updated droplet_lost ago', droplet({ updatedMs: NOW - LOST }), {}, ['missing 0 normal']],
    [
      'an instance of the slot stopped just now',
      droplet({ exits: [exit('a', { reason: 'STOPPED' })] }),
      {},
      [],
    ],
    [
      'an instance of the slot stopped droplet_lost ago',
      droplet({ exits: [exit('a', { reason: 'STOPPED', atMs: NOW - LOST })] }),
      {},
      ['missing 0 normal'],
    ],
    [
      'an exit at one index does not delay the others',
      droplet({ desired: desired({ instances: 2 }), exits: [exit('a', { reason: 'STOPPED' })] }),
      {},
      ['missing 1 normal'],
    ],
    [
      'an old version stopping does not delay it',
      droplet({ exits: [exit('a', { reason: 'STOPPED', version: 'v0' })] }),
      {},
      ['missing 0 normal'],
    ],
  ])('%s', (_, d, conditions, expected) => {
    expect(starts(d, conditions)).toEqual(expected);
  });

  it('requeues for the end of a grace period', () => {
    const decided = evaluate(droplet({ firstSeenMs: NOW - 10 * SECOND }));
    expect(decided).toMatchObject({ changed: false, requeueAtMs: NOW + 20 * SECOND });
  });

  it('requeues for the loss of an unlisted instance, and of a silent DEA', () => {
    const unlisted = droplet({ instances: [instance('a', { lastListedMs: NOW - 10 * SECOND })] });
    expect(evaluate(unlisted).requeueAtMs).toBe(NOW + 20 * SECOND + 1);
    const onSilent = droplet({ instances: [instance('a')] });
    expect(evaluate(onSilent, { deas: silent(20 * SECOND) }).requeueAtMs).toBe(NOW + 10 * SECOND + 1);
    const onUnknown = droplet({ instances: [instance('a', { firstListedMs: NOW - SECOND })] });
    expect(evaluate(onUnknown, { deas: new Map() }).requeueAtMs).toBe(NOW + 29 * SECOND + 1);
  });

  it('the larger the missing share, the earlier within the priority', () => {
    const priority = (d: Droplet) =>
      evaluate(d).decisions.map((x) => (x.kind === 'start' ? x.queuePriority : 0))[0];
    const allGone = priority(droplet({ desired: desired({ instances: 2 }) }));
    const halfGone = priority(droplet({ desired: desired({ instances: 2 }), instances: [instance('a')] }));
    expect(allGone).toBeLessThan(halfGone ?? 0);
    const surplus = [instance('a', { index: 5 })];
    expect(priority(droplet({ desired: desired({ instances: 2 }), instances: surplus }))).toBe(allGone);
  });
});

describe('crashed', () => {
  const crash = (over: Partial<Exit> = {}) =>
    droplet({ instances: [instance('a')], exits: [exit('a', over)] });

  it.each<[string, Droplet, Conditions, string[]]>([
    ['a crash of a wanted instance', crash(), {}, ['crashed 0 low']],
    ['also in the grace period', { ...crash(), firstSeenMs: NOW - SECOND }, {}, ['crashed 0 low']],
    ['of an instance that no heartbeat listed', droplet({ exits: [exit('x')] }), {}, ['crashed 0 low']],
    ['while another copy is live', { ...crash(), instances: [instance('a'), instance('b')] }, {}, []],
    ['of a STOPPED app', { ...crash(), desired: desired({ state: 'STOPPED' }) }, {}, []],
    ['of an app that is not staged', { ...crash(), desired: desired({ packageState: 'PENDING' }) }, {}, []],
    ['of an unknown app', droplet({ desired: undefined, exits: [exit('a')] }), {}, []],
    ['of a gone app', { ...crash(), goneMs: NOW - SECOND }, {}, []],
    ['of an old version', { ...crash({ version: 'v0' }), instances: [instance('b')] }, {}, []],
    ['of an index out of range', { ...crash({ index: 5 }), instances: [instance('b')] }, {}, []],
    [
      'of an old version, also of a slot that has no instance',
      droplet({ firstSeenMs: NOW, exits: [exit('a', { version: 'v0' })] }),
      {},
      [],
    ],
    ['STOPPED is no crash', crash({ reason: 'STOPPED' }), {}, []],
  ])('%s', (_, d, conditions, expected) => {
    expect(starts(d, conditions)).toEqual(expected);
  });

  it.each<[string, Droplet]>([
    ['of a STOPPED app', { ...crash(), desired: desired({ state: 'STOPPED' }) }],
    ['of an old version', { ...crash({ version: 'v0' }), instances: [instance('b')] }],
    ['of an index out of range', { ...crash({ index: 5 }), instances: [instance('b')] }],
    ['STOPPED', crash({ reason: 'STOPPED' })],
    ['DEA_SHUTDOWN', { ...crash({ reason: 'DEA_SHUTDOWN' }), instances: [instance('b')] }],
  ])('only crashes of a wanted slot are counted: %s', (_, d) => {
    const { slots, handledExits } = evaluate(d);
    expect([...slots.values()].map(({ crashes }) => crashes)).toEqual([]);
    expect(handledExits).toBe(d.exits[0]?.n);
  });

  it('is decided once, and the exit is processed', () => {
    const d = crash();
    const first = evaluate(d);
    expect(first.handledExits).toBe(d.exits[0]?.n);
    expect(first.slots.get(0)).toMatchObject({ crashes: 1, lastCrashMs: NOW });
    expect(kinds(evaluate(applyDecision(d, first)))).toEqual([]);
  });

  it('a late heartbeat does not make the instance live again', () => {
    const d = { ...crash({ atMs: NOW - 2 * LOST }), handledExits: 1e9 };
    const decided = evaluate(d, { deas: deas({ 'dea-1': { lastHeartbeatMs: NOW } }) });
    expect(decided.decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
  });

  it('an instance still listed 2 * droplet_lost after its exit is believed again', () => {
    const d = { ...crash({ atMs: NOW - 2 * LOST - 1 }), handledExits: 1e9 };
    expect(starts(d, { deas: deas({ 'dea-1': { lastHeartbeatMs: NOW } }) })).toEqual([]);
  });

  it('a listed instance whose exit is in force is reconciled when that ends', () => {
    const d = {
      ...crash({ atMs: NOW - 40 * SECOND }),
      handledExits: 1e9,
      slots: new Map([[0, slot({ start: waiting() })]]),
    };
    expect(evaluate(d).requeueAtMs).toBeLessThanOrEqual(NOW + 20 * SECOND + 1);
  });
});

describe('evacuated', () => {
  it.each<[string, Droplet, string[]]>([
    [
      'DEA_SHUTDOWN',
      droplet({ instances: [instance('a')], exits: [exit('a', { reason: 'DEA_SHUTDOWN' })] }),
      ['evacuated 0 high'],
    ],
    [
      'DEA_EVACUATION, while heartbeats still report RUNNING',
      droplet({ instances: [instance('a')], exits: [exit('a', { reason: 'DEA_EVACUATION' })] }),
      ['evacuated 0 high'],
    ],
    [
      'DEA_EVACUATION of an instance that no heartbeat listed',
      droplet({ firstSeenMs: NOW, exits: [exit('x', { reason: 'DEA_EVACUATION' })] }),
      ['evacuated 0 high'],
    ],
    [
      'a crash and an evacuation at one slot: the more urgent',
      droplet({ exits: [exit('x'), exit('y', { reason: 'DEA_SHUTDOWN' })] }),
      ['evacuated 0 high'],
    ],
    [
      'EVACUATING in a heartbeat',
      droplet({ instances: [instance('a', { state: 'EVACUATING' })] }),
      ['evacuated 0 high'],
    ],
    [
      'EVACUATING beside a live one',
      droplet({ instances: [instance('a', { state: 'EVACUATING' }), instance('b', { state: 'STARTING' })] }),
      [],
    ],
    [
      'EVACUATING, not wanted',
      droplet({
        desired: desired({ state: 'STOPPED' }),
        instances: [instance('a', { state: 'EVACUATING' })],
      }),
      [],
    ],
    [
      'EVACUATING, another version',
      droplet({ firstSeenMs: NOW, instances: [instance('a', { state: 'EVACUATING', version: 'v0' })] }),
      [],
    ],
    [
      'EVACUATING for longer than droplet_lost ago',
      droplet({ instances: [instance('a', { state: 'EVACUATING', lastListedMs: NOW - LOST - 1 })] }),
      ['missing 0 normal'],
    ],
  ])('%s', (_, d, expected) => {
    expect(starts(d)).toEqual(expected);
  });

  it('is not delayed by the grace period', () => {
    const d = droplet({ firstSeenMs: NOW, instances: [instance('a', { state: 'EVACUATING' })] });
    expect(starts(d)).toEqual(['evacuated 0 high']);
  });

  it('raises a waiting start to high, once', () => {
    const d = droplet({
      instances: [instance('a', { state: 'EVACUATING' })],
      slots: [slot({ start: waiting({ reason: 'crashed', priority: 'low' }) })],
    });
    const decided = evaluate(d);
    expect(decided.decisions).toMatchObject([{ kind: 'raise', id: 'd1', priority: 'high' }]);
    expect(decided.slots.get(0)?.start).toMatchObject({ id: 'd1', reason: 'evacuated', priority: 'high' });
    expect(kinds(evaluate(applyDecision(d, decided)))).toEqual([]);
  });

  it('does not raise a sent start, nor a pending restart', () => {
    const evacuating = [instance('a', { state: 'EVACUATING' })];
    const wasSent = droplet({
      instances: evacuating,
      slots: [slot({ start: waiting() })],
      outcomes: [sent(SECOND)],
    });
    expect(kinds(evaluate(wasSent))).toEqual([]);
    const restart = waiting({ reason: 'flapping', priority: 'high', dueMs: NOW + SECOND });
    const flapping = slot({ crashes: 2, lastCrashMs: NOW, flapping: true, start: restart });
    expect(kinds(evaluate(droplet({ instances: evacuating, slots: [flapping] })))).toEqual([]);
  });
});

describe('a pending start', () => {
  const missing = (over: Partial<PendingStart> = {}, outcomes: Outcome[] = [], instances: Instance[] = []) =>
    droplet({ slots: [slot({ start: waiting(over) })], outcomes, instances });

  it('while it waits no other is decided, and its job is verified', () => {
    const decided = evaluate(missing({ decidedMs: NOW - 3600 * SECOND }));
    expect(decided.decisions).toEqual([]);
    expect(decided.verifyJobs).toMatchObject([{ kind: 'start', id: 'd1', reason: 'missing' }]);
    expect(decided.changed).toBe(false);
    expect(evaluate(missing()).verifyJobs).toHaveLength(1);
    expect(evaluate(missing()).requeueAtMs).toBe(NOW + 25 * SECOND);
    expect(evaluate(missing({ decidedMs: NOW })).verifyJobs).toEqual([]);
  });

  it('its job is verified after droplet_lost, and then less often the longer it waits', () => {
    const checksS: number[] = [];
    for (let waitedMs = 0; waitedMs < 1800 * SECOND; ) {
      const { verifyJobs, requeueAtMs } = evaluate(missing({ decidedMs: NOW - waitedMs }));
      expect(verifyJobs).toHaveLength(waitedMs === 0 ? 0 : 1);
      waitedMs += (requeueAtMs as number) - NOW;
      checksS.push(waitedMs / SECOND);
    }
    expect(checksS).toEqual([30, 120, 480, 960, 1440, 1920]);
  });

  it('once its job is known to be in the queue it is verified less often', () => {
    const laterS = (waitedS: number) => {
      const { requeueOnceEnqueuedMs } = evaluate(missing({ decidedMs: NOW - waitedS * SECOND }));
      return requeueOnceEnqueuedMs === undefined
        ? undefined
        : waitedS + (requeueOnceEnqueuedMs - NOW) / SECOND;
    };
    expect([0, 29, 30, 119, 120, 479, 480].map(laterS)).toEqual([
      ...[480, 480, 480, 480],
      // Without that knowledge the next check is no sooner.
      ...[undefined, undefined, undefined],
    ]);
  });

  it('another reason to reconcile the droplet still counts', () => {
    const d = missing();
    const two = droplet({
      desired: desired({ instances: 2 }),
      slots: [...d.slots.values()],
      firstSeenMs: NOW - LOST + SECOND,
    });
    expect(evaluate(two)).toMatchObject({ requeueAtMs: NOW + SECOND });
    expect(evaluate(two).requeueOnceEnqueuedMs).toBeUndefined();
  });

  it('after it was sent no start is decided for droplet_lost, then another one is', () => {
    const wait = evaluate(missing({}, [sent(LOST)]));
    expect(wait.decisions).toEqual([]);
    expect(wait.requeueAtMs).toBe(NOW + 1);
    const again = evaluate(missing({}, [sent(LOST + 1)]));
    expect(again.decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
    expect(again.outcomesToForget).toEqual(['d1']);
  });

  it('under actual_not_fresh no other start is decided, not even for an evacuation', () => {
    const leaving = [instance('old', { state: 'EVACUATING' })];
    const d = missing({ reason: 'evacuated', priority: 'high' }, [sent(LOST + 1)], leaving);
    const decided = evaluate(d, { holds: { actualNotFresh: true } });
    expect(decided).toMatchObject({ decisions: [], changed: false, requeueAtMs: NOW + 5 * SECOND });
    expect(evaluate(d).decisions).toMatchObject([{ kind: 'start', reason: 'evacuated' }]);
  });

  it('ends when an instance is listed at the slot, and the slot is removed', () => {
    const decided = evaluate(
      missing({}, [sent(5 * SECOND)], [instance('b', { firstListedMs: NOW - SECOND })]),
    );
    expect(decided.decisions).toEqual([]);
    expect(decided.slots.size).toBe(0);
    expect(decided.outcomesToForget).toEqual(['d1']);
  });

  it('is not ended by the previous instance, listed as CRASHED', () => {
    const crashed = instance('new-guid', { state: 'CRASHED', firstListedMs: NOW - SECOND });
    expect(kinds(evaluate(missing({}, [sent(5 * SECOND)], [crashed])))).toEqual([]);
  });

  it('a crash of the started instance is handled as a crash', () => {
    const d = missing({}, [sent(5 * SECOND)]);
    d.exits = [exit('b', { atMs: NOW - SECOND })];
    expect(starts(d)).toEqual(['crashed 0 low']);
  });

  it('is not ended by the exit of an instance listed before it was sent', () => {
    const d = missing({}, [sent(5 * SECOND)], [instance('a', { state: 'EVACUATING' })]);
    d.exits = [exit('a', { reason: 'DEA_SHUTDOWN', atMs: NOW - SECOND })];
    const decided = evaluate(d);
    expect(decided.decisions).toEqual([]);
    expect(decided.handledExits).toBe(d.exits[0]?.n);
  });

  it('is not ended by an earlier exit of an instance that no heartbeat listed', () => {
    const d = missing({}, [sent(5 * SECOND)]);
    d.exits = [exit('x', { atMs: NOW - 10 * SECOND })];
    d.handledExits = 1e9;
    expect(kinds(evaluate(d))).toEqual([]);
  });

  it('an exit of the started instance that is processed before the outcome triggers a start after it', () => {
    const d = missing();
    d.exits = [exit('b', { atMs: NOW - SECOND })];
    const first = evaluate(d);
    expect(first.decisions).toEqual([]);
    const later = applyDecision(d, first);
    later.outcomes = new Map([['d1', sent(2 * SECOND)]]);
    expect(starts(later)).toEqual(['crashed 0 low']);
  });

  it('after a drop the slot is decided again at once', () => {
    const d = missing({}, [{ id: 'd1', outcome: 'dropped', atMs: NOW, why: 'held:actual_not_fresh' }]);
    const decided = evaluate(d);
    expect(decided.decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
    expect(decided.slots.get(0)?.start?.id).not.toBe('d1');
    expect(decided.outcomesToForget).toEqual(['d1']);
  });

  it.each<[string, Droplet, string]>([
    ['live again', missing({}, [], [instance('a')]), 'live'],
    ['app stopped', { ...missing(), desired: desired({ state: 'STOPPED' }) }, 'not_wanted'],
    ['scaled down', { ...missing(), desired: desired({ instances: 0 }) }, 'not_wanted'],
    ['new version', { ...missing(), desired: desired({ version: 'v2' }), firstSeenMs: NOW }, 'not_wanted'],
    [
      'given up',
      droplet({ slots: [slot({ crashes: 5, lastCrashMs: NOW - SECOND, flapping: true, start: waiting() })] }),
      'given_up',
    ],
  ])('is canceled when it is no longer right: %s', (_, d, why) => {
    const decided = evaluate(d);
    expect(decided.decisions).toMatchObject([{ kind: 'cancel', id: 'd1', why }]);
    expect(decided.slots.get(0)?.start).toBeUndefined();
  });

  it('has an id that is unique for droplet and revision, has no colon, and is no integer', () => {
    const d = droplet({ id: 'a:b.c/ü', instances: [instance('0', { index: 1 })] });
    const ids = evaluate({ ...d, rev: 41 }).decisions.map(({ id }) => id);
    expect(ids[0]).toMatch(/^a%3Ab%2Ec%2F%C3%BC\.start-0\.42-/);
    expect(ids.join()).not.toMatch(/:/);
    expect(new Set([...ids, ...evaluate({ ...d, rev: 42 }).decisions.map(({ id }) => id)]).size).toBe(
      2 * ids.length,
    );
  });
});

describe('a healthy droplet', () => {
  it.each<[string, Droplet]>([
    ['one instance', droplet({ instances: [instance('a')] })],
    [
      'several, one still STARTING',
      droplet({
        desired: desired({ instances: 2 }),
        instances: [instance('b', { index: 1, state: 'STARTING' }), instance('a')],
      }),
    ],
    ['stopped', droplet({ desired: desired({ state: 'STOPPED' }) })],
    [
      'updated long ago',
      droplet({ instances: [instance('a')], updatedMs: 5, handledUpdateMs: 5, handledExits: 3 }),
    ],
    [
      'more than the quick check covers',
      droplet({
        desired: desired({ instances: 40 }),
        instances: Array.from({ length: 40 }, (_, index) => instance(`i${index}`, { index })),
      }),
    ],
  ])('%s: nothing is stored or requeued', (_, d) => {
    const decided = evaluate(d);
    expect(decided).toMatchObject({ decisions: [], verifyJobs: [], remove: false, changed: false });
    expect(decided.requeueAtMs).toBeUndefined();
    expect(decided.handledExits).toBe(d.handledExits);
    expect(decided.handledUpdateMs).toBe(d.handledUpdateMs);
  });

  it('two copies of one index do not pass for two indices', () => {
    const d = droplet({ desired: desired({ instances: 2 }), instances: [instance('a'), instance('b')] });
    expect(starts(d)).toEqual(['missing 1 normal']);
  });

  it('an index beyond 31 does not pass for a lower one', () => {
    const d = droplet({ instances: [instance('a', { index: 32 })] });
    expect(starts(d)).toEqual(['missing 0 normal']);
  });

  it('an update of a healthy droplet is processed', () => {
    const d = droplet({ instances: [instance('a')], updatedMs: NOW - SECOND, listedMs: NOW });
    expect(evaluate(d)).toMatchObject({ decisions: [], changed: true, handledUpdateMs: NOW - SECOND });
  });
});
