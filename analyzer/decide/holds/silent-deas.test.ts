import { describe, expect, it } from 'vitest';
import type { Droplet, Holds } from '../../../common/model/droplet.ts';
import {
  deas,
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
import { answers } from '../simulation/evaluate.ts';
import { applyDecision } from '../simulation/fixtures.ts';

const silent = (agoMs: number) => deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs } });

describe('which hold covers what', () => {
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
});
