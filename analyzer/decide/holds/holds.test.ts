import { describe, expect, it } from 'vitest';
import type { Droplet, Holds, Instance } from '../../../common/model/droplet.ts';
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

const UPDATED = { updatedMs: NOW - SECOND, handledUpdateMs: NOW - SECOND };
const silent = (agoMs: number) => deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs } });

/** `kind reason hold` of each decision. */
function answers(d: Droplet, on: Partial<Holds>, liveness = deas()): string[] {
  return answersUnder(d, holds(on), liveness);
}

function answersUnder(d: Droplet, on: Holds, liveness: ReturnType<typeof deas>): string[] {
  return decide(d, liveness, on, NOW, SETTINGS).decisions.map((x) =>
    [x.kind, 'reason' in x ? x.reason : '', x.kind === 'held' ? x.hold : ''].join(' ').trim(),
  );
}

const missing = () => droplet();
const crashed = () => droplet({ exits: [exit('a')] });
const evacuating = () => droplet({ instances: [instance('a', { state: 'EVACUATING' })] });
const duplicates = () => droplet({ instances: [instance('a'), instance('b')] });
const extraIndex = () => droplet({ instances: [instance('a'), instance('b', { index: 1 })] });
const stopped = () => droplet({ desired: desired({ state: 'STOPPED' }), instances: [instance('a')] });
const extraApp = () => droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a')] });
/** Updated `droplet_lost` ago: the grace period is over. */
const AWAITING_PASS = { updatedMs: NOW - LOST, handledUpdateMs: NOW - LOST };
const NO_PASS_SINCE = { lastPassBegunMs: NOW - LOST };

describe('which hold covers what', () => {
  it.each<[string, Droplet, Partial<Holds>, string[]]>([
    ['no hold: missing', missing(), {}, ['start missing']],
    [
      'desired_unavailable: missing',
      missing(),
      { desiredUnavailable: true },
      ['held missing desired_unavailable'],
    ],
    ['desired_unavailable: a crash is acted on', crashed(), { desiredUnavailable: true }, ['start crashed']],
    [
      'desired_unavailable: an evacuation is acted on',
      evacuating(),
      { desiredUnavailable: true },
      ['start evacuated'],
    ],
    [
      'desired_unavailable: stopped',
      stopped(),
      { desiredUnavailable: true },
      ['held stopped desired_unavailable'],
    ],
    [
      'desired_unavailable: extra_index',
      extraIndex(),
      { desiredUnavailable: true },
      ['held extra_index desired_unavailable'],
    ],
    [
      'desired_unavailable: extra_app',
      extraApp(),
      { desiredUnavailable: true },
      ['held extra_app desired_unavailable'],
    ],
    ['desired_unavailable: not duplicates', duplicates(), { desiredUnavailable: true }, ['stop duplicate']],

    ['actual_not_fresh: missing', missing(), { actualNotFresh: true }, ['held missing actual_not_fresh']],
    ['actual_not_fresh: a crash is acted on', crashed(), { actualNotFresh: true }, ['start crashed']],
    [
      'actual_not_fresh: an evacuation is acted on',
      evacuating(),
      { actualNotFresh: true },
      ['start evacuated'],
    ],
    [
      'actual_not_fresh: duplicates',
      duplicates(),
      { actualNotFresh: true },
      ['held duplicate actual_not_fresh'],
    ],
    ['actual_not_fresh: no other stops', extraIndex(), { actualNotFresh: true }, ['stop extra_index']],

    ['mass_delete: extra_app', extraApp(), { massDelete: true }, ['held extra_app mass_delete']],
    ['mass_delete: no other stops', stopped(), { massDelete: true }, ['stop stopped']],
    ['mass_delete: not missing', missing(), { massDelete: true }, ['start missing']],
    [
      'mass_delete: a crash of an app that seems deleted is acted on',
      { ...crashed(), goneMs: NOW - SECOND },
      { massDelete: true },
      ['start crashed'],
    ],
    [
      'mass_delete: its missing slots are not started',
      { ...missing(), goneMs: NOW - SECOND },
      { massDelete: true },
      [],
    ],

    [
      'update_required: missing',
      { ...missing(), ...AWAITING_PASS },
      NO_PASS_SINCE,
      ['held missing update_required'],
    ],
    [
      'update_required: an evacuation waits',
      { ...evacuating(), ...UPDATED },
      { lastPassBegunMs: NOW - LOST },
      ['held evacuated update_required'],
    ],
    [
      'update_required: a crash waits',
      { ...crashed(), ...UPDATED },
      { lastPassBegunMs: NOW - LOST },
      ['held crashed update_required'],
    ],
    [
      'update_required: stops',
      { ...stopped(), ...UPDATED },
      { lastPassBegunMs: NOW - LOST },
      ['held stopped update_required'],
    ],
    [
      'update_required: duplicates',
      { ...duplicates(), ...UPDATED },
      { lastPassBegunMs: NOW - LOST },
      ['held duplicate update_required'],
    ],
    [
      'update_required: over when a pass since listed it',
      { ...missing(), ...AWAITING_PASS, listedMs: NOW - LOST + 1 },
      NO_PASS_SINCE,
      ['start missing'],
    ],
    [
      'update_required: over when a pass since completed',
      { ...missing(), ...AWAITING_PASS },
      { lastPassBegunMs: NOW - LOST + 1 },
      ['start missing'],
    ],
    [
      'update_required: a pass that began before does not count',
      { ...missing(), ...AWAITING_PASS, listedMs: NOW - LOST },
      NO_PASS_SINCE,
      ['held missing update_required'],
    ],
    [
      'several holds: one is named',
      { ...missing(), ...AWAITING_PASS },
      { ...NO_PASS_SINCE, desiredUnavailable: true, actualNotFresh: true },
      ['held missing update_required'],
    ],
  ])('%s', (_, d, on, expected) => {
    expect(answers(d, on)).toEqual(expected);
  });

  it('mass_loss: missing starts for the late DEAs instances, no others', () => {
    const lost = droplet({
      desired: desired({ instances: 2 }),
      instances: [instance('a'), instance('b', { index: 1, dea: 'dea-2' })],
    });
    const bothSilent = deas({
      'dea-1': { lastHeartbeatMs: NOW - LOST - 1 },
      'dea-2': { lastHeartbeatMs: NOW - LOST - 1 },
    });
    const on = { massLossDeas: new Set(['dea-1']) };
    expect(answers(lost, on, bothSilent)).toEqual(['held missing mass_loss', 'start missing']);
    expect(answers(missing(), on)).toEqual(['start missing']);
    const unlisted = droplet({ instances: [instance('a', { lastListedMs: NOW - LOST - 1 })] });
    expect(answers(unlisted, on)).toEqual(['start missing']);
    const exited = droplet({ instances: [instance('a')], exits: [exit('a')] });
    expect(answers(exited, on, silent(LOST + 1))).toEqual(['start crashed']);
    expect(answers({ ...exited, handledExits: 1e9 }, on, silent(LOST + 1))).toEqual(['start missing']);
    const resumed = droplet({
      instances: [instance('a')],
      exits: [exit('a', { reason: 'DEA_SHUTDOWN', atMs: NOW - 10 * LOST })],
      handledExits: 1e9,
    });
    expect(answers(resumed, on, silent(LOST + 1))).toEqual(['held missing mass_loss']);
  });

  it.each<[string, Parameters<typeof instance>[1], string]>([
    ['RUNNING', {}, 'held missing mass_loss'],
    ['STARTING', { state: 'STARTING' }, 'held missing mass_loss'],
    ['CRASHED', { state: 'CRASHED' }, 'start missing'],
    ['another version', { version: 'v0' }, 'start missing'],
    ['another index', { index: 1 }, 'start missing'],
  ])('mass_loss: of a late DEA that listed %s', (_, over, expected) => {
    const d = droplet({ instances: [instance('a', over)] });
    expect(answers(d, { massLossDeas: new Set(['dea-1']) }, silent(LOST + 1))).toEqual([expected]);
  });

  it.each<[string, number, Parameters<typeof droplet>[0], string?]>([
    ['evaluated since the DEA was lost', NOW - 4, {}, 'start missing'],
    ['last evaluated just before the DEA was lost: no hold, but it waits', NOW - 5, {}],
    [
      'not evaluated since, and left out by its latest heartbeat: it waits',
      1,
      { instances: [instance('a', { lastListedMs: NOW - LOST - 5 - LOST / 3 })] },
    ],
    [
      'not evaluated since, but listed at another index',
      1,
      { instances: [instance('a', { index: 1 })] },
      'start missing',
    ],
    [
      'not evaluated since, but CRASHED',
      1,
      { instances: [instance('a', { state: 'CRASHED' })] },
      'start missing',
    ],
    [
      'not evaluated since, but no longer listed for longer than a heartbeat period before',
      1,
      { instances: [instance('a', { lastListedMs: NOW - LOST - 6 - LOST / 3 })] },
      'start missing',
    ],
  ])('mass_loss: what is missing on a lost DEA, %s', (_, untilMs, over, expected) => {
    const d = droplet({ instances: [instance('a')], ...over });
    const lost = deas({ 'dea-1': { lastHeartbeatMs: NOW - LOST - 5 } });
    const waits = expected === undefined ? [] : [expected];
    expect(answers(d, { massLossEvaluated: { sinceMs: 0, untilMs } }, lost)).toEqual(waits);
  });

  it.each<[string, number | undefined, { instances?: Instance[] }, string]>([
    ['without a watermark', undefined, {}, 'held missing actual_not_fresh'],
    ['with a watermark just before the loss', NOW - 5, {}, 'held missing actual_not_fresh'],
    ['with a watermark after the loss', NOW - 4, {}, 'start missing'],
    [
      'with a watermark before the loss, but no longer listed before',
      NOW - 5,
      { instances: [instance('a', { lastListedMs: NOW - 2 * LOST })] },
      'start missing',
    ],
    [
      'with a watermark before the loss, but listed at another index',
      NOW - 5,
      { instances: [instance('a', { index: 1 })] },
      'start missing',
    ],
  ])('actual_not_fresh: what is missing on a lost DEA, %s', (_, heartbeatWatermarkMs, over, expected) => {
    const d = droplet({ instances: [instance('a')], ...over });
    const lost = deas({ 'dea-1': { lastHeartbeatMs: NOW - LOST - 5 } });
    const { heartbeatWatermarkMs: __, ...noWatermark } = holds();
    const on = { ...noWatermark, ...(heartbeatWatermarkMs !== undefined && { heartbeatWatermarkMs }) };
    expect(answersUnder(d, on, lost)).toEqual([expected]);
  });

  it.each<[string, number, number, string]>([
    ['and its last heartbeat may be lost', LOST + 5, 5, 'held missing actual_not_fresh'],
    ['and its last heartbeat may be lost, but was longer ago', LOST + 5, 4, 'start missing'],
    [
      'and a heartbeat after the last one may be lost',
      LOST + LOST / 3,
      3 * SECOND + LOST / 3,
      'held missing actual_not_fresh',
    ],
    ['and for one heartbeat period more', LOST + LOST / 3 + 1, 3 * SECOND + LOST / 3, 'start missing'],
    ['and what was lost came before its last heartbeat', LOST + 5, -1, 'start missing'],
  ])('actual_not_fresh: what is missing on a DEA that is lost, %s', (_, silentMs, lostAfterMs, expected) => {
    const d = droplet({ instances: [instance('a')] });
    const lossPossibleUntilMs = NOW - silentMs + lostAfterMs;
    expect(answers(d, { lossPossibleUntilMs }, silent(silentMs))).toEqual([expected]);
  });

  it.each<[string, number, string[]]>([
    ['too short', LOST / 3 - 1, []],
    ['long enough', LOST / 3, ['start missing']],
  ])('mass_loss: what is missing on a lost DEA, evaluated for a time that is %s', (_, forMs, expected) => {
    const on = { massLossEvaluated: { sinceMs: NOW - forMs, untilMs: NOW } };
    expect(answers(droplet({ instances: [instance('a')] }), on, silent(2 * LOST))).toEqual(expected);
  });

  describe('a start that rests on the silence of another instance at its slot', () => {
    const NOT_EVALUATED = { massLossEvaluated: { sinceMs: 0, untilMs: NOW - LOST } };
    const LATE = { massLossDeas: new Set(['dea-1']) };
    const other = instance('other');
    const crashes = droplet({ instances: [other], exits: [exit('a')] });
    const evacuates = droplet({ instances: [other, instance('a', { state: 'EVACUATING', dea: 'dea-2' })] });
    const flaps = droplet({
      instances: [other],
      slots: [slot({ flapping: true, crashes: 2, lastCrashMs: NOW - 50 * SECOND })],
    });
    it.each<[string, Droplet, Partial<Holds>, string?]>([
      ['a crash, no hold', crashes, {}, 'start crashed'],
      ['a crash, actual_not_fresh', crashes, { actualNotFresh: true }, 'held crashed actual_not_fresh'],
      ['a crash, mass_loss', crashes, LATE, 'held crashed mass_loss'],
      ['a crash, mass_loss of another DEA', crashes, { massLossDeas: new Set(['dea-2']) }, 'start crashed'],
      ['a crash, mass_loss not evaluated: no hold, but it waits', crashes, NOT_EVALUATED],
      ['a crash, desired_unavailable', crashes, { desiredUnavailable: true }, 'start crashed'],
      ['an evacuation, no hold', evacuates, {}, 'start evacuated'],
      [
        'an evacuation, actual_not_fresh',
        evacuates,
        { actualNotFresh: true },
        'held evacuated actual_not_fresh',
      ],
      ['an evacuation, mass_loss', evacuates, LATE, 'held evacuated mass_loss'],
      ['a restart, no hold', flaps, {}, 'start flapping'],
      ['a restart, actual_not_fresh', flaps, { actualNotFresh: true }, 'held flapping actual_not_fresh'],
      ['a restart, mass_loss', flaps, LATE, 'held flapping mass_loss'],
    ])('%s', (_, d, on, expected) => {
      expect(answers(d, on, silent(LOST + 1))).toEqual(expected === undefined ? [] : [expected]);
    });

    const LATER = NOW + 40 * SECOND;
    const afterwards = (d: Droplet, lastHeartbeatMs: number) => {
      const liveness = deas({ 'dea-1': { lastHeartbeatMs } });
      const on = holds({ massLossEvaluated: { sinceMs: 0, untilMs: LATER } });
      const { decisions, slots } = decide(d, liveness, on, LATER, SETTINGS);
      return [decisions.map((x) => `${x.kind} ${'reason' in x ? x.reason : ''}`), [...slots.keys()]];
    };
    const shutDown = droplet({ instances: [other], exits: [exit('a', { reason: 'DEA_SHUTDOWN' })] });
    it.each<[string, Droplet, string]>([
      ['a crash', crashes, 'start crashed'],
      ['an evacuation', shutDown, 'start evacuated'],
      ['a restart', flaps, 'start flapping'],
    ])('%s is not forgotten while it is held', (_, d, expected) => {
      const lost = silent(LOST + 1);
      const waits = applyDecision(d, decide(d, lost, holds(NOT_EVALUATED), NOW, SETTINGS));
      expect(waits.slots.get(0)).toMatchObject({ heldFor: expected.split(' ')[1] });
      expect(decide(waits, lost, holds(NOT_EVALUATED), NOW, SETTINGS).changed).toBe(false);
      expect(afterwards(waits, NOW - LOST - 1)).toEqual([[expected], [0]]);
      const held = applyDecision(d, decide(d, lost, holds({ actualNotFresh: true }), NOW, SETTINGS));
      expect(decide(held, lost, holds({ actualNotFresh: true }), NOW, SETTINGS).changed).toBe(false);
      expect(afterwards(held, NOW - LOST - 1)).toEqual([[expected], [0]]);
      const [decisions] = afterwards(held, LATER);
      expect(decisions).toEqual([]);
      const liveAgain = decide(held, deas({ 'dea-1': { lastHeartbeatMs: NOW } }), holds(), NOW, SETTINGS);
      expect(liveAgain.slots.get(0)).not.toMatchObject({ heldFor: expect.anything() });
    });

    it('a held missing start becomes a held crashed start when a crash is received', () => {
      const on = { actualNotFresh: true };
      const lost = silent(LOST + 1);
      const missing = { ...crashes, exits: [] };
      const held = applyDecision(missing, decide(missing, lost, holds(on), NOW, SETTINGS));
      expect(answers({ ...held, exits: [exit('a')] }, on, lost)).toEqual(['held crashed actual_not_fresh']);
    });

    it.each<[string, Parameters<typeof instance>[1]]>([
      ['CRASHED', { state: 'CRASHED' }],
      ['EVACUATING', { state: 'EVACUATING' }],
      ['of another version', { version: 'v0' }],
      ['of another index', { index: 1 }],
      ['not listed any more', { lastListedMs: NOW - 2 * LOST }],
    ])('an instance that is %s does not count', (_, over) => {
      const d = { ...crashes, instances: [instance('other', over)] };
      expect(answers(d, { actualNotFresh: true, ...LATE }, silent(LOST + 1))).toEqual(['start crashed']);
    });

    it('an instance that has exited does not count', () => {
      const d = { ...crashes, exits: [...crashes.exits, exit('other', { n: 0 })] };
      expect(answers(d, { actualNotFresh: true, ...LATE }, silent(LOST + 1))).toEqual(['start crashed']);
    });
  });

  it('mass_loss: a live instance is not lost, however long ago the hold was evaluated', () => {
    const d = droplet({ instances: [instance('a')] });
    expect(answers(d, { massLossEvaluated: { sinceMs: 0, untilMs: 1 } })).toEqual([]);
  });

  it('mass_loss: what is missing on a lost DEA, never evaluated', () => {
    const { massLossEvaluated: _, ...never } = holds();
    const { decisions } = decide(
      droplet({ instances: [instance('a')] }),
      silent(LOST + 1),
      never,
      NOW,
      SETTINGS,
    );
    expect(decisions).toEqual([]);
  });

  it('mass_loss: what the latest heartbeat of a late DEA left out', () => {
    const d = droplet({ instances: [instance('a', { lastListedMs: NOW - LOST - 1 })] });
    const late = { massLossDeas: new Set(['dea-1']) };
    expect(answers(d, late, silent(LOST - 5 * SECOND))).toEqual(['held missing mass_loss']);
    // Until its DEA is lost or sends its next heartbeat, it is not known whether the heartbeat was a full list.
    expect(answers(d, {}, silent(LOST - 5 * SECOND))).toEqual([]);
    expect(answers(d, {}, silent(SECOND))).toEqual(['start missing']);
    const { instancesToForget } = decide(d, silent(LOST - 5 * SECOND), holds(), NOW, SETTINGS);
    expect(instancesToForget).toEqual([]);
  });

  describe('while no ingestor listened', () => {
    const gap = (fromMs: number, toMs: number) => ({ listeningGaps: [{ fromMs, toMs }] });
    const d = droplet({ instances: [instance('a')] });
    it.each<[string, Partial<Holds>, number, string[]]>([
      ['no DEA is lost', gap(NOW - 100 * SECOND, Number.POSITIVE_INFINITY), 120 * SECOND, []],
      [
        'a DEA is lost after droplet_lost of listening',
        gap(NOW - 100 * SECOND, NOW - 29 * SECOND),
        102 * SECOND,
        ['start missing'],
      ],
      ['a DEA is not lost before', gap(NOW - 100 * SECOND, NOW - 28 * SECOND), 102 * SECOND, []],
    ])('%s', (_, on, silentMs, expected) => {
      expect(answers(d, on, silent(silentMs))).toEqual(expected);
    });

    it('an exit is kept until no heartbeat that it overrides counts', () => {
      const ended = droplet({
        exits: [exit('gone', { reason: 'STOPPED', atMs: NOW - 400 * SECOND })],
        handledExits: 1_000,
      });
      const { exitsToForget } = decide(
        ended,
        deas(),
        holds(gap(NOW - 350 * SECOND, NOW - 39 * SECOND)),
        NOW,
        SETTINGS,
      );
      expect(exitsToForget).toEqual([]);
      expect(
        decide(ended, deas(), holds(gap(NOW - 350 * SECOND, NOW - 41 * SECOND)), NOW, SETTINGS).exitsToForget,
      ).toEqual(['gone']);
    });
  });

  it('update_required: on until the first complete pass', () => {
    const { lastPassBegunMs: _, ...none } = holds();
    const decided = decide({ ...missing(), ...AWAITING_PASS }, deas(), none, NOW, SETTINGS);
    expect(decided.decisions).toMatchObject([{ kind: 'held', hold: 'update_required' }]);
  });
});

describe('under a hold', () => {
  it('a held start is decided once, requeued every few seconds, and started when the hold ends', () => {
    const d = missing();
    const first = decide(d, deas(), holds({ actualNotFresh: true }), NOW, SETTINGS);
    expect(first.slots.get(0)?.held).toBe('actual_not_fresh');
    expect(first.requeueAtMs).toBe(NOW + 5 * SECOND);
    const held = applyDecision(d, first);
    const second = decide(held, deas(), holds({ actualNotFresh: true }), NOW, SETTINGS);
    expect(second).toMatchObject({ decisions: [], changed: false, requeueAtMs: NOW + 5 * SECOND });
    const over = decide(held, deas(), holds(), NOW, SETTINGS);
    expect(over.decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
    expect(over.slots.get(0)?.held).toBeUndefined();
  });

  it('a held stop is decided once, and the stop when the hold ends', () => {
    const d = extraIndex();
    const first = decide(d, deas(), holds({ desiredUnavailable: true }), NOW, SETTINGS);
    expect(first.stops.get('b')).toMatchObject({ held: 'desired_unavailable', reason: 'extra_index' });
    expect(first.requeueAtMs).toBe(NOW + 5 * SECOND);
    const held = applyDecision(d, first);
    expect(decide(held, deas(), holds({ desiredUnavailable: true }), NOW, SETTINGS)).toMatchObject({
      decisions: [],
      changed: false,
    });
    const over = decide(held, deas(), holds(), NOW, SETTINGS);
    expect(over.decisions).toMatchObject([{ kind: 'stop', instance: 'b' }]);
    expect(over.stops.get('b')?.held).toBeUndefined();
  });

  it('a held start is forgotten when the slot is live again', () => {
    const wasHeld = applyDecision(
      missing(),
      decide(missing(), deas(), holds({ actualNotFresh: true }), NOW, SETTINGS),
    );
    const back = decide(
      { ...wasHeld, instances: [instance('a')] },
      deas(),
      holds({ actualNotFresh: true }),
      NOW,
      SETTINGS,
    );
    expect(back).toMatchObject({ decisions: [], changed: true });
    expect(back.slots.size).toBe(0);
  });

  it('update_required: a crash of the started instance waits too, and is not lost', () => {
    const d = droplet({
      exits: [exit('new', { atMs: NOW - 2 * SECOND })],
      handledExits: 1e9,
      updatedMs: NOW - SECOND,
      slots: [
        slot({ start: { id: 's', reason: 'missing', priority: 'normal', decidedMs: NOW - 5 * SECOND } }),
      ],
      outcomes: [{ id: 's', outcome: 'sent', atMs: NOW - 4 * SECOND }],
    });
    const waiting = decide(d, deas(), holds(), NOW, SETTINGS);
    expect(waiting.decisions).toEqual([]);
    const listed = { ...applyDecision(d, waiting), listedMs: NOW };
    expect(decide(listed, deas(), holds(), NOW, SETTINGS).decisions).toMatchObject([
      { kind: 'start', reason: 'crashed' },
    ]);
  });

  it('update_required: exits are neither lost nor counted twice, and decided by the desired state of the pass', () => {
    const d = { ...crashed(), updatedMs: NOW - SECOND };
    const waiting = decide(d, deas(), holds(), NOW, SETTINGS);
    expect(waiting.handledExits).toBe(0);
    const before = applyDecision(d, waiting);
    const scaledAway = { ...before, listedMs: NOW, desired: desired({ instances: 0 }) };
    expect(decide(scaledAway, deas(), holds(), NOW, SETTINGS).decisions).toEqual([]);
    const same = decide({ ...before, listedMs: NOW }, deas(), holds(), NOW, SETTINGS);
    expect(same.decisions).toMatchObject([{ kind: 'start', reason: 'crashed' }]);
    expect(same.slots.get(0)?.crashes).toBe(1);
    expect(same.handledExits).toBe(d.exits[0]?.n);
  });
});
