/** Starts that did not help: they are tried again ever more rarely, behind all others. */
import { describe, expect, it } from 'vitest';
import type { Droplet, Slot } from '../../../common/model/droplet.ts';
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
} from '../../../common/testing/builders.ts';
import { decide } from '../decide.ts';
import { applyDecision } from '../simulation/fixtures.ts';

const evaluate = (d: Droplet, nowMs = NOW) => {
  const fresh = { lastHeartbeatMs: nowMs - SECOND, previousHeartbeatMs: nowMs - 11 * SECOND };
  const liveness = deas({ 'dea-1': fresh, 'dea-2': fresh, 'dea-3': fresh });
  const on = holds({ heartbeatWatermarkMs: nowMs, massLossEvaluated: { sinceMs: 0, untilMs: nowMs } });
  return decide(d, liveness, on, nowMs, SETTINGS);
};
const slotOf = (d: Droplet, nowMs?: number) => evaluate(d, nowMs).slots.get(0);
const startsOf = (d: Droplet, nowMs?: number) =>
  evaluate(d, nowMs).decisions.filter(({ kind }) => kind === 'start');

/** A slot whose start was sent at `sentMs`. */
const sent = (sentMs: number, over: Partial<Slot> = {}, more: Parameters<typeof droplet>[0] = {}): Droplet =>
  droplet({
    slots: [
      slot({
        start: { id: 's', reason: 'missing', priority: 'normal', decidedMs: sentMs - SECOND },
        ...over,
      }),
    ],
    outcomes: [{ id: 's', outcome: 'sent', atMs: sentMs }],
    ...more,
  });
/** A slot that waits for its next try. */
const waiting = (over: Partial<Slot> = {}, more: Parameters<typeof droplet>[0] = {}): Droplet =>
  droplet({ slots: [slot({ attempts: 2, retryMs: NOW + 30 * SECOND, ...over })], ...more });

describe('a start after which nothing is heard', () => {
  it('is tried again after droplet_lost, then twice that, and so on, at most every max_restart_delay', () => {
    let record = droplet();
    let nowMs = NOW;
    const sentS: number[] = [];
    while (sentS.length < 9) {
      const decided = evaluate(record, nowMs);
      record = applyDecision(record, decided);
      const start = record.slots.get(0)?.start;
      if (start !== undefined && !record.outcomes.has(start.id)) {
        sentS.push((nowMs - NOW) / SECOND);
        const outcome = { id: start.id, outcome: 'sent', atMs: nowMs } as const;
        record = { ...record, outcomes: new Map([...record.outcomes, [start.id, outcome]]) };
      }
      nowMs = evaluate(record, nowMs).requeueAtMs ?? nowMs + SECOND;
    }
    const gapsS = sentS.slice(1).map((at, n) => Math.round(at - (sentS[n] as number)));
    expect(gapsS).toEqual([30, 60, 120, 240, 480, 480, 480, 480]);
  });

  it('counts as an attempt only when droplet_lost has passed since it was sent, and no hold may hide its effect', () => {
    expect(slotOf(sent(NOW - LOST))?.attempts).toBeUndefined();
    expect(slotOf(sent(NOW - LOST - 1))).toMatchObject({ attempts: 1 });
    const d = sent(NOW - LOST - 1);
    const unsure = decide(d, deas(), holds({ actualNotFresh: true }), NOW, SETTINGS);
    expect(unsure.slots.get(0)?.attempts).toBeUndefined();
    const dropped = sent(NOW - LOST - 1, {}, { outcomes: [{ id: 's', outcome: 'dropped', atMs: NOW }] });
    expect(slotOf(dropped)?.attempts).toBeUndefined();
  });

  it('leaves after all first-time starts, those with fewer attempts first', () => {
    const priorityOf = (attempts?: number) =>
      startsOf(droplet({ slots: [slot(attempts === undefined ? {} : { attempts, retryMs: NOW })] })).map(
        (start) => 'queuePriority' in start && start.queuePriority,
      )[0] as number;
    expect(priorityOf(1)).toBeGreaterThan(3000);
    expect(priorityOf(2)).toBeGreaterThan(priorityOf(1));
    expect(priorityOf()).toBeLessThanOrEqual(2000);
  });

  it('is not raised by an evacuation that began before it, nor tried sooner', () => {
    const evacuating = instance('old', { state: 'EVACUATING' });
    expect(startsOf(waiting({}, { instances: [evacuating] }))).toEqual([]);
    const [start] = startsOf(waiting({ retryMs: NOW }, { instances: [evacuating] }));
    expect(start).toMatchObject({ reason: 'evacuated' });
    expect(start && 'queuePriority' in start && start.queuePriority).toBeGreaterThan(3000);
  });

  it('is logged as unplaced once, at the third attempt', () => {
    const kinds = (attempts: number) =>
      evaluate(sent(NOW - LOST - 1, { attempts, retryMs: 0 })).decisions.map(({ kind }) => kind);
    expect(kinds(1)).not.toContain('unplaced');
    expect(evaluate(sent(NOW - LOST - 1, { attempts: 2, retryMs: 0 })).decisions).toContainEqual(
      expect.objectContaining({ kind: 'unplaced', index: 0, version: 'v1', attempts: 3 }),
    );
    expect(kinds(3)).not.toContain('unplaced');
  });
});

describe('while a slot waits for its next try', () => {
  it('nothing is started, and the droplet is reconciled when the wait is over', () => {
    const decided = evaluate(waiting());
    expect(decided.decisions).toEqual([]);
    expect(decided.changed).toBe(false);
    expect(decided.requeueAtMs).toBe(NOW + 30 * SECOND);
  });

  it.each([
    ['a new crash', exit('new', { atMs: NOW - SECOND }), 'crashed'],
    ['a new evacuation', exit('new', { reason: 'DEA_SHUTDOWN' }), 'evacuated'],
  ])('%s at the slot is acted on at once, as a first-time start', (_, ended, reason) => {
    const [start] = startsOf(waiting({}, { exits: [ended] }));
    expect(start).toMatchObject({ reason });
    expect(start && 'queuePriority' in start && start.queuePriority).toBeLessThanOrEqual(3000);
    expect(slotOf(waiting({}, { exits: [ended] }))).not.toHaveProperty('attempts');
  });
});

describe('the attempts are forgotten', () => {
  const isForgotten = (d: Droplet) => {
    const after = slotOf(d);
    return after === undefined || !('attempts' in after || 'retryMs' in after);
  };

  it.each<[string, Droplet]>([
    ['when an instance is heard at the slot', waiting({}, { instances: [instance('a')] })],
    [
      'when the started instance was heard, and is gone again',
      sent(
        NOW - 20 * SECOND,
        { attempts: 2, retryMs: NOW },
        { instances: [instance('a', { firstListedMs: NOW - 10 * SECOND, state: 'EVACUATING' })] },
      ),
    ],
    [
      'when the started instance exits',
      sent(NOW - 20 * SECOND, { attempts: 2, retryMs: NOW }, { exits: [exit('a')] }),
    ],
    ['at droplet.updated', waiting({}, { updatedMs: NOW - SECOND })],
    ['with a new version', waiting({ version: 'v0' })],
    ['when the slot is no longer wanted', waiting({}, { desired: desired({ state: 'STOPPED' }) })],
  ])('%s', (_, d) => {
    expect(isForgotten(d)).toBe(true);
  });

  it('not by anything else', () => {
    expect(isForgotten(waiting())).toBe(false);
    expect(isForgotten(waiting({}, { instances: [instance('a', { index: 1 })] }))).toBe(false);
    expect(isForgotten(waiting({}, { instances: [instance('a', { version: 'v0' })] }))).toBe(false);
  });

  it('at droplet.updated also a start that waits behind the others, which is then decided anew', () => {
    const start = { id: 's', reason: 'missing', priority: 'normal', decidedMs: NOW - SECOND } as const;
    const d = waiting({ start, retryMs: NOW - SECOND }, { updatedMs: NOW - SECOND / 2 });
    expect(evaluate(d).decisions).toContainEqual(
      expect.objectContaining({ kind: 'cancel', id: 's', why: 'updated' }),
    );
    expect(slotOf(d)?.start).toBeUndefined();
  });
});
