import { describe, expect, it } from 'vitest';
import type { Droplet, Holds } from '../../common/model/droplet.ts';
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
import { decide } from './decide.ts';
import { isQuiet } from './decision.ts';
import { applyDecision } from './simulation/fixtures.ts';

const evaluate = (d: Droplet, on: Partial<Holds> = {}, liveness: Deas = deas()) =>
  decide(d, liveness, holds(on), NOW, SETTINGS);
const GRACE = SETTINGS.dropletGcGraceMs;
const TIMEOUT = SETTINGS.flappingTimeoutMs;

describe('a droplet is removed', () => {
  it('when it is out of the desired state for the grace period with nothing running', () => {
    expect(evaluate(droplet({ goneMs: NOW - GRACE - 1 })).remove).toBe(true);
    expect(evaluate(droplet({ goneMs: NOW - GRACE }))).toMatchObject({ remove: false, requeueAtMs: NOW + 1 });
  });

  it('when it never was desired, and a pass that wrote every entry did not list it', () => {
    const seenMs = NOW - GRACE - 1;
    const never = droplet({ desired: undefined, firstSeenMs: seenMs, undesiredMs: seenMs });
    expect(evaluate(never).remove).toBe(true);
    const noPass = evaluate(never, { lastPassBegunMs: NOW - GRACE - SECOND });
    expect(noPass.remove).toBe(false);
    expect(noPass.requeueAtMs).toBeGreaterThan(NOW);
    expect(evaluate({ ...never, listedMs: NOW - SECOND }).remove).toBe(false);
  });

  it.each(['STARTING', 'RUNNING', 'EVACUATING'])('not while an instance is %s', (state) => {
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a', { state })] });
    expect(evaluate(d).remove).toBe(false);
  });

  it('not while an instance is listed by a DEA that is not known yet, or mass_loss is on for its DEA', () => {
    const forgotten = deas({ 'dea-1': undefined });
    const young = [instance('a', { firstListedMs: NOW - SECOND })];
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: young });
    expect(evaluate(d, {}, forgotten).remove).toBe(false);
    const held = droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a')] });
    expect(evaluate(held, { massLossDeas: new Set(['dea-1']) }, forgotten).remove).toBe(false);
  });

  it('with CRASHED instances', () => {
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a', { state: 'CRASHED' })] });
    expect(evaluate(d).remove).toBe(true);
  });

  it('not while a silent DEA could make an instance live again with its next heartbeat', () => {
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a')] });
    const silent = evaluate(d, {}, deas({ 'dea-1': { lastHeartbeatMs: NOW - 5 * LOST } }));
    expect(silent.remove).toBe(false);
    expect(silent.requeueAtMs).toBe(NOW + 4 * LOST + 1);
    expect(evaluate(d, {}, deas({ 'dea-1': undefined })).remove).toBe(true);
  });

  it('not under mass_delete, and never while it is desired', () => {
    expect(evaluate(droplet({ goneMs: NOW - 3600 * SECOND }), { massDelete: true }).remove).toBe(false);
    expect(evaluate(droplet({ desired: desired({ state: 'STOPPED' }) })).remove).toBe(false);
  });
});

describe('instances', () => {
  const forgets = (d: Droplet, liveness?: Deas) => evaluate(d, {}, liveness).instancesToForget;
  const alive = instance('a');

  it('are forgotten droplet_lost after they were last listed; CRASHED ones after flapping_timeout', () => {
    const unlisted = (agoMs: number, state = 'RUNNING') =>
      droplet({ instances: [alive, instance('b', { state, lastListedMs: NOW - agoMs, dea: 'x' })] });
    expect(forgets(unlisted(LOST))).toEqual([]);
    expect(forgets(unlisted(LOST + 1))).toEqual(['b']);
    expect(forgets(unlisted(TIMEOUT, 'CRASHED'))).toEqual([]);
    expect(forgets(unlisted(TIMEOUT + 1, 'CRASHED'))).toEqual(['b']);
    expect(evaluate(unlisted(TIMEOUT - SECOND, 'CRASHED')).requeueAtMs).toBe(NOW + SECOND + 1);
  });

  it('stay while the grace period of a new version waits for their DEA, although it has expired', () => {
    const d = droplet({
      desired: desired({ version: 'v2' }),
      versionSinceMs: NOW - 5 * SECOND,
      instances: [instance('a', { dea: 'expired' })],
    });
    expect(evaluate(d)).toMatchObject({ decisions: [], instancesToForget: [] });
    expect(forgets({ ...d, versionSinceMs: NOW - LOST - 1 })).toEqual(['a']);
  });

  it('stay while a start is pending that their exit would seem to end', () => {
    const start = { id: 's', reason: 'evacuated', priority: 'high', decidedMs: NOW - 25 * SECOND } as const;
    const d = droplet({
      instances: [instance('old', { state: 'EVACUATING', lastListedMs: NOW - LOST - 1 })],
      exits: [exit('old', { atMs: NOW - 20 * SECOND, reason: 'STOPPED' })],
      handledExits: 1e9,
      slots: [slot({ start })],
      outcomes: [{ id: 's', outcome: 'sent', atMs: NOW - 24 * SECOND }],
    });
    expect(evaluate(d)).toMatchObject({ decisions: [], instancesToForget: [] });
  });

  it('stay while mass_loss is on for their DEA, though it has expired', () => {
    const d = droplet({ instances: [alive] });
    const forgotten = deas({ 'dea-1': undefined });
    const held = evaluate(d, { massLossDeas: new Set(['dea-1']) }, forgotten);
    expect(held.instancesToForget).toEqual([]);
    expect(held.decisions).toMatchObject([{ kind: 'held', hold: 'mass_loss' }]);
  });

  it.each<[string, { sinceMs: number; untilMs: number } | undefined]>([
    ['mass_loss was never evaluated', undefined],
    ['mass_loss was not evaluated since they were lost', { sinceMs: 0, untilMs: alive.firstListedMs + LOST }],
    ['mass_loss has not been evaluated for long enough', { sinceMs: NOW - 5 * SECOND, untilMs: NOW }],
  ])('stay, and their droplet, while %s', (_, massLossEvaluated) => {
    const { massLossEvaluated: __, ...unevaluated } = holds();
    const on = { ...unevaluated, ...(massLossEvaluated && { massLossEvaluated }) };
    const forgotten = deas({ 'dea-1': undefined });
    const evaluateOn = (d: Droplet) => decide(d, forgotten, on, NOW, SETTINGS);
    const missing = evaluateOn(droplet({ instances: [alive] }));
    expect(missing).toMatchObject({ instancesToForget: [], decisions: [] });
    const gone = evaluateOn(droplet({ goneMs: NOW - 3600 * SECOND, instances: [alive] }));
    expect(gone).toMatchObject({ instancesToForget: [], remove: false });
  });

  it('stay while a heartbeat of theirs may not be stored yet', () => {
    const forgotten = deas({ 'dea-1': undefined });
    const d = droplet({ instances: [alive] });
    const held = evaluate(d, { heartbeatWatermarkMs: alive.firstListedMs + LOST }, forgotten);
    expect(held.instancesToForget).toEqual([]);
    expect(held.decisions).toMatchObject([{ kind: 'held', hold: 'actual_not_fresh' }]);
  });

  it('stay under actual_not_fresh: a crash beside them would trigger a start, and they may be live again', () => {
    const forgotten = deas({ 'dea-1': undefined });
    const d = droplet({ instances: [alive] });
    expect(evaluate(d, { actualNotFresh: true }, forgotten).instancesToForget).toEqual([]);
    expect(evaluate(d, {}, forgotten).instancesToForget).toEqual(['a']);
  });

  it('stay while a silent DEA that listed them is known; are forgotten when it has expired', () => {
    const d = droplet({ instances: [alive] });
    expect(forgets(d, deas({ 'dea-1': { lastHeartbeatMs: NOW - 9 * LOST } }))).toEqual([]);
    expect(forgets(d, deas({ 'dea-1': undefined }))).toEqual(['a']);
  });

  it('are forgotten before their DEA expires', () => {
    const d = droplet({ desired: desired({ state: 'STOPPED' }), instances: [alive] });
    const requeueMs = (agoMs: number) =>
      evaluate(d, {}, deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs } })).requeueAtMs;
    expect(requeueMs(2 * LOST)).toBe(NOW + 7 * LOST + 1);
    expect(forgets(d, deas({ 'dea-1': { lastHeartbeatMs: NOW - 9 * LOST } }))).toEqual([]);
    expect(forgets(d, deas({ 'dea-1': { lastHeartbeatMs: NOW - 9 * LOST - 1 } }))).toEqual(['a']);
  });
});

describe('exits', () => {
  const forgets = (atMs: number, reason: 'CRASHED' | 'STOPPED', handledExits = 1e9) =>
    evaluate(droplet({ instances: [instance('a')], exits: [exit('x', { atMs, reason })], handledExits }))
      .exitsToForget;

  it('are forgotten when no heartbeat can contradict them any more; crashes after flapping_timeout', () => {
    expect(forgets(NOW - 3 * LOST, 'STOPPED')).toEqual([]);
    expect(forgets(NOW - 3 * LOST - 1, 'STOPPED')).toEqual(['x']);
    expect(forgets(NOW - TIMEOUT, 'CRASHED')).toEqual([]);
    expect(forgets(NOW - TIMEOUT - 1, 'CRASHED')).toEqual(['x']);
  });

  it('are not forgotten before they are processed', () => {
    const d = droplet({
      instances: [instance('a')],
      exits: [exit('x', { atMs: NOW - 3600 * SECOND })],
      updatedMs: NOW - SECOND,
    });
    expect(evaluate(d).exitsToForget).toEqual([]);
    expect(evaluate({ ...d, listedMs: NOW }).exitsToForget).toEqual(['x']);
  });

  it.each([0, 1])(
    'stay while a start is pending whose instance theirs could be taken for (index %i)',
    (index) => {
      const start = { id: 's', reason: 'evacuated', priority: 'high', decidedMs: NOW - 25 * SECOND } as const;
      const d = droplet({
        instances: [instance('old', { state: 'EVACUATING', firstListedMs: NOW - 6 * SECOND })],
        exits: [exit('old', { index, atMs: NOW - 3 * LOST - 1, reason: 'DEA_EVACUATION' })],
        handledExits: 1e9,
        slots: [slot({ start })],
        outcomes: [{ id: 's', outcome: 'sent', atMs: NOW - 24 * SECOND }],
      });
      const first = evaluate(d);
      expect(first).toMatchObject({ decisions: [], exitsToForget: [] });
      // Nothing is forgotten that would make the next reconcile decide.
      expect(decide(applyDecision(d, first), deas(), holds(), NOW, SETTINGS).decisions).toEqual([]);
      // The start had no effect: another one is decided when its time is over, not before.
      expect(first.requeueAtMs).toBe(NOW + 6 * SECOND + 1);
      const late = applyDecision(d, first);
      const then = NOW + 6 * SECOND + 1;
      expect(decide(late, deas(), holds(), then, SETTINGS).decisions).toMatchObject([{ kind: 'start' }]);
    },
  );

  it('stay as long as the record has their instance, if its DEA has been silent since they were in force', () => {
    const exits = [exit('a', { atMs: NOW - 3 * LOST - 1, reason: 'DEA_SHUTDOWN' })];
    const d = droplet({ instances: [instance('a')], exits, handledExits: 1e9 });
    const silentSince = (agoMs: number) => deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs } });
    // Without the exit the silent instance would be one that ran, at its slot, when its DEA fell silent.
    expect(evaluate(d, {}, silentSince(LOST + 1)).exitsToForget).toEqual([]);
    expect(evaluate(d, {}, silentSince(LOST)).exitsToForget).toEqual(['a']);
    const expired = evaluate(d, {}, silentSince(9 * LOST + 1));
    expect(expired).toMatchObject({ exitsToForget: ['a'], instancesToForget: ['a'] });
    const delisted = droplet({
      instances: [instance('a', { lastListedMs: NOW - 3 * LOST })],
      exits,
      handledExits: 1e9,
    });
    expect(evaluate(delisted, {}, silentSince(LOST + 1)).exitsToForget).toEqual(['a']);
  });
});

it('outcomes of decisions that are over are forgotten', () => {
  const d = droplet({ instances: [instance('a')], outcomes: [{ id: 'x', outcome: 'sent', atMs: NOW }] });
  expect(evaluate(d)).toMatchObject({ outcomesToForget: ['x'], changed: true });
});

it('a healthy droplet is quiet; one that waits for something is not', () => {
  expect(isQuiet(evaluate(droplet({ instances: [instance('a')] })))).toBe(true);
  expect(isQuiet(evaluate(droplet()))).toBe(false);
  expect(
    isQuiet(evaluate(droplet({ instances: [instance('a'), instance('b', { lastListedMs: NOW })] }))),
  ).toBe(false);
});
