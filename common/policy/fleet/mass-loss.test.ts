import { describe, expect, it, test } from 'vitest';
import type { ListeningGap } from '../../model/droplet.ts';
import { NOW, SECOND, SETTINGS } from '../../testing/builders.ts';
import {
  type DeaFacts,
  type Evaluated,
  extendEvaluated,
  lossesEvaluatedMs,
  type MassLoss,
  NO_MASS_LOSS,
  nextMassLoss,
  releaseMassLoss,
} from './mass-loss.ts';

describe('mass_loss', () => {
  /** Ten DEAs: the last heartbeat of `silent` of them was `agoS` seconds ago, that of the others just now. */
  const fleet = (silent: number, agoS: number, over: Partial<DeaFacts> = {}): DeaFacts[] =>
    Array.from({ length: 10 }, (_, i) => ({
      guid: `dea-${i}`,
      lastHeartbeatMs: i < silent ? NOW - agoS * SECOND : NOW,
      runsSomething: true,
      shutdown: false,
      ...(i < silent ? over : {}),
    }));
  const next = (state: MassLoss, facts: DeaFacts[], nowMs = NOW, gaps: ListeningGap[] = []) =>
    nextMassLoss(state, facts, nowMs, gaps, SETTINGS);
  const isOn = ({ sinceMs }: MassLoss) => sinceMs !== undefined;
  const ON = next(NO_MASS_LOSS, fleet(6, 21));

  it.each<[string, DeaFacts[], boolean]>([
    ['is on when enough DEAs are silent for more than two thirds of droplet_lost', fleet(6, 20.001), true],
    ['is off when they are silent for exactly two thirds', fleet(6, 20), false],
    ['is off when too small a share is silent', fleet(5, 21), false],
    ['is off when fewer than minimum_deas are silent', fleet(2, 21).slice(0, 2), false],
    ['is on when exactly minimum_deas are silent', fleet(3, 21).slice(0, 3), true],
    ['is off when the silent DEAs run nothing', fleet(6, 21, { runsSomething: false }), false],
    ['is off when the silent DEAs sent dea.shutdown', fleet(6, 21, { shutdown: true }), false],
    ['is on when they are silent for 3 * droplet_lost', fleet(6, 90), true],
    ['is off when they are silent for longer than that, so they are dead hosts', fleet(6, 90.001), false],
    [
      'is on when the share is large enough without a live DEA that runs nothing',
      fleet(5, 21).map((dea, at) => ({ ...dea, runsSomething: at < 9 })),
      true,
    ],
  ])('%s', (_, facts, expected) => {
    expect(isOn(next(NO_MASS_LOSS, facts))).toBe(expected);
  });

  it('is raised by exactly the fraction', () => {
    const half = { ...SETTINGS, massLoss: { ...SETTINGS.massLoss, fraction: 0.5 } };
    expect(isOn(nextMassLoss(NO_MASS_LOSS, fleet(5, 21), NOW, [], half))).toBe(true);
    expect(isOn(nextMassLoss(NO_MASS_LOSS, fleet(4, 21), NOW, [], half))).toBe(false);
  });

  it('keeps the time at which it was raised', () => {
    expect(next(ON, fleet(6, 21), NOW + 10 * SECOND).sinceMs).toBe(NOW);
  });

  it('counts late DEAs that are forgotten meanwhile in the share, too', () => {
    const five = fleet(0, 0)
      .slice(0, 5)
      .map((dea) => ({ ...dea, guid: `new-${dea.guid}` }));
    expect(next(ON, five)).toMatchObject({ sinceMs: NOW, belowSinceMs: NOW });
    expect(next(ON, five.slice(1)).belowSinceMs).toBeUndefined();
  });

  it('names the late DEAs', () => {
    expect(ON.sinceMs).toBe(NOW);
    expect(ON.lateDeas.sort()).toEqual(['dea-0', 'dea-1', 'dea-2', 'dea-3', 'dea-4', 'dea-5']);
    expect(next(NO_MASS_LOSS, fleet(5, 21)).lateDeas).toEqual([]);
  });

  it('keeps its late DEAs until their next heartbeat, even if they are forgotten meanwhile', () => {
    const long = next(ON, fleet(6, 200));
    expect(long.lateDeas).toHaveLength(6);
    expect(next(ON, fleet(6, 200, { runsSomething: false })).lateDeas).toHaveLength(6);
    const forgotten = next(ON, fleet(6, 0).slice(6));
    expect(isOn(forgotten)).toBe(true);
    expect(forgotten.lateDeas).toHaveLength(6);
  });

  it('ends when the share has been too small for a third of droplet_lost', () => {
    const below = next(ON, fleet(5, 60));
    expect(isOn(below)).toBe(true);
    expect(below.lateDeas).toHaveLength(5);
    const later = (s: number, silent: number, state: MassLoss) =>
      next(
        state,
        fleet(silent, 60 - s).map((d) => ({ ...d, lastHeartbeatMs: d.lastHeartbeatMs + s * SECOND })),
        NOW + s * SECOND,
      );
    expect(isOn(later(9, 5, below))).toBe(true);
    expect(isOn(later(10, 5, below))).toBe(false);
    const aboveAgain = later(5, 6, below);
    expect(aboveAgain.belowSinceMs).toBeUndefined();
  });

  it.each(['it has lasted `hold` seconds', 'an operator releases it'])(
    'when %s, the DEAs that are late then count as dead until their next heartbeat',
    (how) => {
      const hold = { ...SETTINGS, massLoss: { ...SETTINGS.massLoss, holdMs: 10 * SECOND } };
      const then = NOW + 10 * SECOND;
      const ended =
        how === 'it has lasted `hold` seconds'
          ? nextMassLoss(ON, fleet(6, 21), then, [], hold)
          : releaseMassLoss(ON, then, [], hold);
      expect(ended).toMatchObject({ lateDeas: [] });
      expect(isOn(ended)).toBe(false);
      expect(isOn(nextMassLoss(ended, fleet(6, 21), then + SECOND, [], hold))).toBe(false);
      const lostAgain = fleet(6, -11).map((d) => ({ ...d, lastHeartbeatMs: then + SECOND }));
      expect(isOn(nextMassLoss(ended, lostAgain, then + 22 * SECOND, [], hold))).toBe(true);
    },
  );

  describe('while no ingestor listens', () => {
    const gap = (fromS: number, toS: number): ListeningGap[] => [
      { fromMs: NOW + fromS * SECOND, toMs: NOW + toS * SECOND },
    ];
    const later = (s: number, gaps: ListeningGap[], facts = fleet(6, 21)) =>
      next(ON, facts, NOW + s * SECOND, gaps);
    const holdS = SETTINGS.massLoss.holdMs / SECOND;

    it('no DEA becomes late', () => {
      expect(isOn(next(NO_MASS_LOSS, fleet(6, 600), NOW, gap(-590, Number.POSITIVE_INFINITY)))).toBe(false);
    });

    it('it is raised by the DEAs that stay silent afterwards, together', () => {
      const outage = gap(-1000, -19);
      expect(isOn(next(NO_MASS_LOSS, fleet(6, 1001), NOW, outage))).toBe(false);
      expect(next(NO_MASS_LOSS, fleet(6, 1002), NOW, outage).lateDeas).toHaveLength(6);
    });

    it('its hold time does not run', () => {
      expect(isOn(later(holdS, []))).toBe(false);
      expect(isOn(later(holdS + 100, gap(10, 111)))).toBe(true);
      expect(isOn(later(holdS + 101, gap(10, 111)))).toBe(false);
      expect(isOn(later(holdS + 1000, gap(10, Number.POSITIVE_INFINITY)))).toBe(true);
    });

    it('it does not end because too few DEAs are late', () => {
      const below = next(ON, fleet(5, 60));
      const facts = fleet(5, 50);
      expect(isOn(next(below, facts, NOW + 12 * SECOND, gap(1, 4)))).toBe(true);
      expect(isOn(next(below, facts, NOW + 13 * SECOND, gap(1, 4)))).toBe(false);
    });
  });

  it('is raised again at once by DEAs that fell silent during a hold that has just ended', () => {
    // While no analyzer ran, the DEAs reconnected and were cut off again.
    const then = NOW + SETTINGS.massLoss.holdMs;
    const again = fleet(6, 0).map((dea) => ({ ...dea, lastHeartbeatMs: then - 40 * SECOND }));
    expect(next(ON, again, then)).toMatchObject({
      sinceMs: then,
      lateDeas: again.map(({ guid }) => guid),
    });
    const back = again.map((dea) => ({ ...dea, lastHeartbeatMs: then - SECOND }));
    expect(isOn(next(ON, back, then))).toBe(false);
  });
});

describe('a loss is acted on', () => {
  /** Times in seconds of evaluations, oldest first. */
  const evaluations = (...seconds: number[]): Evaluated =>
    seconds.reduce<Evaluated | undefined>(
      (before, s) => extendEvaluated(before, s * 1_000, SETTINGS),
      undefined,
    ) as Evaluated;
  const evaluatedS = (evaluated: Evaluated, gaps: ListeningGap[] = []) => {
    const atMs = lossesEvaluatedMs(evaluated, gaps, SETTINGS);
    return atMs === undefined ? undefined : atMs / 1_000;
  };

  test.each<[string, number[], number | undefined]>([
    ['not after the first evaluation', [100], undefined],
    ['not after a short time of evaluations', [100, 105, 109], undefined],
    ['by the last one of a long time without a gap', [100, 105, 110], 110],
    ['by the evaluation before the last gap', [100, 140], 100],
    ['by it until the time after the gap is long enough', [100, 140, 145], 100],
    ['then by the last one', [100, 140, 145, 150], 150],
    ['by the last but one, if each comes after a gap', [100, 111, 122, 133], 122],
  ])('%s', (_, seconds, expected) => {
    expect(evaluatedS(evaluations(...seconds))).toBe(expected);
  });

  test('not by an evaluation since which nobody listened for long enough', () => {
    const gap = { fromMs: 101_000, toMs: 139_000 };
    expect(evaluatedS(evaluations(100, 140), [gap])).toBeUndefined();
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('again after somebody edited a time: %s', (edited) => {
    expect(extendEvaluated({ sinceMs: edited, untilMs: edited }, 5, SETTINGS)).toEqual({
      sinceMs: 5,
      untilMs: 5,
    });
    expect(extendEvaluated({ sinceMs: 1, untilMs: 2, beforeGapMs: edited }, 5, SETTINGS)).toEqual({
      sinceMs: 1,
      untilMs: 5,
    });
  });
});
