import { describe, expect, it } from 'vitest';
import type { Droplet, Instance, Outcome, PendingStart } from '../../../common/model/droplet.ts';
import {
  desired,
  droplet,
  exit,
  instance,
  LOST,
  NOW,
  SECOND,
  slot,
} from '../../../common/testing/builders.ts';
import { evaluate, kinds, starts } from '../simulation/evaluate.ts';
import { applyDecision } from '../simulation/fixtures.ts';

function waiting(over: Partial<PendingStart> = {}): PendingStart {
  return { id: 'd1', reason: 'missing', priority: 'normal', decidedMs: NOW - 5 * SECOND, ...over };
}
const sent = (agoMs: number, id = 'd1'): Outcome => ({ id, outcome: 'sent', atMs: NOW - agoMs });

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

  it.each([
    ['before mass_loss came on is not over: a DEA that was cut off may run it', LOST, 0],
    ['after that is over', LOST + 2, 1],
  ])('sent %s', (_, sinceAgoMs, starts) => {
    const d = missing({}, [sent(LOST + 1)]);
    const holds = { massLossDeas: new Set(['dea-9']), massLossSinceMs: NOW - sinceAgoMs };
    const decided = evaluate(d, { holds });
    expect(decided.decisions).toHaveLength(starts);
    if (starts === 0) expect(decided).toMatchObject({ changed: false, requeueAtMs: NOW + LOST });
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
