import { describe, expect, it } from 'vitest';
import type { Droplet, Holds } from '../../common/model/droplet.ts';
import type { Deas } from '../../common/policy/liveness.ts';
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
import { applied } from './simulation/fixtures.ts';

const look = (d: Droplet, on: Partial<Holds> = {}, liveness: Deas = deas()) =>
  decide(d, liveness, holds(on), NOW, SETTINGS);
const GRACE = SETTINGS.dropletGcGraceMs;
const TIMEOUT = SETTINGS.flappingTimeoutMs;

describe('a droplet is removed', () => {
  it('when it is out of the desired state for the grace period with nothing running', () => {
    expect(look(droplet({ goneMs: NOW - GRACE - 1 })).remove).toBe(true);
    expect(look(droplet({ goneMs: NOW - GRACE }))).toMatchObject({ remove: false, requeueAtMs: NOW + 1 });
  });

  it('when it never was desired, and a pass since it was first heard did not list it', () => {
    const never = droplet({ desired: undefined, firstSeenMs: NOW - GRACE - 1 });
    expect(look(never).remove).toBe(true);
    const noPass = look(never, { lastPassBegunMs: NOW - GRACE - SECOND });
    expect(noPass.remove).toBe(false);
    expect(noPass.requeueAtMs).toBeGreaterThan(NOW);
    expect(look({ ...never, listedMs: NOW - SECOND }).remove).toBe(false);
  });

  it.each(['STARTING', 'RUNNING', 'EVACUATING'])('not while an instance is %s', (state) => {
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a', { state })] });
    expect(look(d).remove).toBe(false);
  });

  it('not while an instance is heard on a DEA that is not known yet, or mass_loss is on for its DEA', () => {
    const forgotten = deas({ 'dea-1': undefined });
    const young = [instance('a', { firstListedMs: NOW - SECOND })];
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: young });
    expect(look(d, {}, forgotten).remove).toBe(false);
    const held = droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a')] });
    expect(look(held, { massLossDeas: new Set(['dea-1']) }, forgotten).remove).toBe(false);
  });

  it('with CRASHED and other traces', () => {
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a', { state: 'CRASHED' })] });
    expect(look(d).remove).toBe(true);
  });

  it('not while a DEA that is silent, but known, would bring an instance back unannounced', () => {
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a')] });
    const silent = look(d, {}, deas({ 'dea-1': { lastHeartbeatMs: NOW - 5 * LOST } }));
    expect(silent.remove).toBe(false);
    expect(silent.requeueAtMs).toBe(NOW + 4 * LOST + 1);
    expect(look(d, {}, deas({ 'dea-1': undefined })).remove).toBe(true);
  });

  it('not while mass_delete doubts that it is gone, and never while it is desired', () => {
    expect(look(droplet({ goneMs: NOW - 3600 * SECOND }), { massDelete: true }).remove).toBe(false);
    expect(look(droplet({ desired: desired({ state: 'STOPPED' }) })).remove).toBe(false);
  });
});

describe('instances', () => {
  const forgets = (d: Droplet, liveness?: Deas) => look(d, {}, liveness).instancesToForget;
  const alive = instance('a');

  it('go droplet_lost after they were last listed; CRASHED ones after flapping_timeout', () => {
    const unlisted = (agoMs: number, state = 'RUNNING') =>
      droplet({ instances: [alive, instance('b', { state, lastListedMs: NOW - agoMs, dea: 'x' })] });
    expect(forgets(unlisted(LOST))).toEqual([]);
    expect(forgets(unlisted(LOST + 1))).toEqual(['b']);
    expect(forgets(unlisted(TIMEOUT, 'CRASHED'))).toEqual([]);
    expect(forgets(unlisted(TIMEOUT + 1, 'CRASHED'))).toEqual(['b']);
    expect(look(unlisted(TIMEOUT - SECOND, 'CRASHED')).requeueAtMs).toBe(NOW + SECOND + 1);
  });

  it('stay while a start is on its way that their exit would seem to have ended', () => {
    const start = { id: 's', reason: 'evacuated', priority: 'high', decidedMs: NOW - 25 * SECOND } as const;
    const d = droplet({
      instances: [instance('old', { state: 'EVACUATING', lastListedMs: NOW - LOST - 1 })],
      exits: [exit('old', { atMs: NOW - 20 * SECOND, reason: 'STOPPED' })],
      handledExits: 1e9,
      slots: [slot({ start })],
      outcomes: [{ id: 's', outcome: 'sent', atMs: NOW - 24 * SECOND }],
    });
    expect(look(d)).toMatchObject({ decisions: [], instancesToForget: [] });
  });

  it('stay while mass_loss is on for their DEA, though it is forgotten', () => {
    const d = droplet({ instances: [alive] });
    const forgotten = deas({ 'dea-1': undefined });
    const held = look(d, { massLossDeas: new Set(['dea-1']) }, forgotten);
    expect(held.instancesToForget).toEqual([]);
    expect(held.decisions).toMatchObject([{ kind: 'held', hold: 'mass_loss' }]);
  });

  it.each<[string, { sinceMs: number; untilMs: number } | undefined]>([
    ['nobody has judged mass_loss yet', undefined],
    ['it was not judged since they were lost', { sinceMs: 0, untilMs: alive.firstListedMs + LOST }],
    ['it has not been judged for long enough', { sinceMs: NOW - 5 * SECOND, untilMs: NOW }],
  ])('stay, and their droplet, while %s: they may be back', (_, massLossEvaluated) => {
    const { massLossEvaluated: __, ...unjudged } = holds();
    const on = { ...unjudged, ...(massLossEvaluated && { massLossEvaluated }) };
    const forgotten = deas({ 'dea-1': undefined });
    const lookOn = (d: Droplet) => decide(d, forgotten, on, NOW, SETTINGS);
    const missing = lookOn(droplet({ instances: [alive] }));
    expect(missing.instancesToForget).toEqual([]);
    expect(missing.decisions).toMatchObject([{ kind: 'held', hold: 'mass_loss' }]);
    const gone = lookOn(droplet({ goneMs: NOW - 3600 * SECOND, instances: [alive] }));
    expect(gone).toMatchObject({ instancesToForget: [], remove: false });
  });

  it('stay while a heartbeat of theirs may not be stored yet', () => {
    const forgotten = deas({ 'dea-1': undefined });
    const d = droplet({ instances: [alive] });
    const held = look(d, { heartbeatWatermarkMs: alive.firstListedMs + LOST }, forgotten);
    expect(held.instancesToForget).toEqual([]);
    expect(held.decisions).toMatchObject([{ kind: 'held', hold: 'actual_not_fresh' }]);
  });

  it('stay while nobody listens: a crash beside them would be started, and they be back', () => {
    const forgotten = deas({ 'dea-1': undefined });
    const d = droplet({ instances: [alive] });
    expect(look(d, { actualNotFresh: true }, forgotten).instancesToForget).toEqual([]);
    expect(look(d, {}, forgotten).instancesToForget).toEqual(['a']);
  });

  it('stay while a DEA lists them, however silent it is; go with a DEA that is forgotten', () => {
    const d = droplet({ instances: [alive] });
    expect(forgets(d, deas({ 'dea-1': { lastHeartbeatMs: NOW - 9 * LOST } }))).toEqual([]);
    expect(forgets(d, deas({ 'dea-1': undefined }))).toEqual(['a']);
  });

  it('go before the DEA that was lost with them is forgotten', () => {
    const d = droplet({ desired: desired({ state: 'STOPPED' }), instances: [alive] });
    const lookOf = (agoMs: number) =>
      look(d, {}, deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs } })).requeueAtMs;
    expect(lookOf(2 * LOST)).toBe(NOW + 7 * LOST + 1);
    expect(forgets(d, deas({ 'dea-1': { lastHeartbeatMs: NOW - 9 * LOST } }))).toEqual([]);
    expect(forgets(d, deas({ 'dea-1': { lastHeartbeatMs: NOW - 9 * LOST - 1 } }))).toEqual(['a']);
  });
});

describe('exits', () => {
  const forgets = (atMs: number, reason: 'CRASHED' | 'STOPPED', handledExits = 1e9) =>
    look(droplet({ instances: [instance('a')], exits: [exit('x', { atMs, reason })], handledExits }))
      .exitsToForget;

  it('go when no heartbeat can contradict them any more; crashes after flapping_timeout', () => {
    expect(forgets(NOW - 3 * LOST, 'STOPPED')).toEqual([]);
    expect(forgets(NOW - 3 * LOST - 1, 'STOPPED')).toEqual(['x']);
    expect(forgets(NOW - TIMEOUT, 'CRASHED')).toEqual([]);
    expect(forgets(NOW - TIMEOUT - 1, 'CRASHED')).toEqual(['x']);
  });

  it('not before they have been taken into account', () => {
    const d = droplet({
      instances: [instance('a')],
      exits: [exit('x', { atMs: NOW - 3600 * SECOND })],
      updatedMs: NOW - SECOND,
    });
    expect(look(d).exitsToForget).toEqual([]);
    expect(look({ ...d, listedMs: NOW }).exitsToForget).toEqual(['x']);
  });

  it.each([0, 1])(
    'stay while a start is on its way that their instance would seem to have come of (index %i)',
    (index) => {
      const start = { id: 's', reason: 'evacuated', priority: 'high', decidedMs: NOW - 25 * SECOND } as const;
      const d = droplet({
        instances: [instance('old', { state: 'EVACUATING', firstListedMs: NOW - 6 * SECOND })],
        exits: [exit('old', { index, atMs: NOW - 3 * LOST - 1, reason: 'DEA_EVACUATION' })],
        handledExits: 1e9,
        slots: [slot({ start })],
        outcomes: [{ id: 's', outcome: 'sent', atMs: NOW - 24 * SECOND }],
      });
      const first = look(d);
      expect(first).toMatchObject({ decisions: [], exitsToForget: [] });
      // Nothing goes in one look that makes the next one decide.
      expect(decide(applied(d, first), deas(), holds(), NOW, SETTINGS).decisions).toEqual([]);
      // The start did not help: it is asked for again when its time is over, not before.
      expect(first.requeueAtMs).toBe(NOW + 6 * SECOND + 1);
      const late = applied(d, first);
      const then = NOW + 6 * SECOND + 1;
      expect(decide(late, deas(), holds(), then, SETTINGS).decisions).toMatchObject([{ kind: 'start' }]);
    },
  );

  it('one that goes does not make its instance live by what was heard before', () => {
    const d = droplet({
      instances: [instance('a')],
      exits: [exit('a', { atMs: NOW - 3 * LOST - 1, reason: 'STOPPED' })],
      handledExits: 1e9,
    });
    const heard = deas({ 'dea-1': { lastHeartbeatMs: NOW - LOST - 1 } });
    expect(look(d, {}, heard).exitsToForget).toEqual(['a']);
    expect(look({ ...d, exits: [] }, {}, heard).decisions).toMatchObject([
      { kind: 'start', reason: 'missing' },
    ]);
  });
});

it('outcomes that belong to no decision any more are forgotten', () => {
  const d = droplet({ instances: [instance('a')], outcomes: [{ id: 'x', outcome: 'sent', atMs: NOW }] });
  expect(look(d)).toMatchObject({ outcomesToForget: ['x'], changed: true });
});

it('a healthy droplet is quiet; one that waits for something is not', () => {
  expect(isQuiet(look(droplet({ instances: [instance('a')] })))).toBe(true);
  expect(isQuiet(look(droplet()))).toBe(false);
  expect(isQuiet(look(droplet({ instances: [instance('a'), instance('b', { lastListedMs: NOW })] })))).toBe(
    false,
  );
});
