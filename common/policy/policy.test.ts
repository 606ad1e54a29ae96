import { describe, expect, it } from 'vitest';
import { deas, desired, droplet, exit, instance, LOST, NOW, SECOND, SETTINGS } from '../testing/builders.ts';
import { extendStreak, isActualNotFresh, isDesiredUnavailable, type Streak } from './freshness.ts';
import { effectiveState, exitsByInstance } from './liveness.ts';
import { type MassDelete, massDeleteAfter, massDeleteAfterPass, releaseMassDelete } from './mass-delete.ts';
import { type DeaFacts, type MassLoss, NO_MASS_LOSS, nextMassLoss, releaseMassLoss } from './mass-loss.ts';
import { watermarkGapMs } from './thresholds.ts';
import { wantedIndices } from './wanted.ts';

describe('liveness', () => {
  const counts = (over: Parameters<typeof instance>[1], heardAgoMs = 0, end?: ReturnType<typeof exit>) =>
    effectiveState(
      instance('a', over),
      end,
      deas({ 'dea-1': { lastHeartbeatMs: NOW - heardAgoMs } }),
      NOW,
      SETTINGS,
    );

  it.each(['RUNNING', 'STARTING', 'EVACUATING'])('%s counts while heard within droplet_lost', (state) => {
    expect(counts({ state }, LOST)).toBe(state);
    expect(counts({ state }, LOST + 1)).toBe('NONE');
    expect(counts({ state, lastListedMs: NOW - LOST })).toBe(state);
    expect(counts({ state, lastListedMs: NOW - LOST - 1 })).toBe('NONE');
  });

  it('one heard just now counts, though its DEA was last seen long ago', () => {
    expect(counts({ firstListedMs: NOW - SECOND }, LOST + 1)).toBe('RUNNING');
  });

  it.each(['CRASHED', 'RESUMING', 'STOPPED', 'DELETED'])('%s does not run', (state) => {
    expect(counts({ state })).toBe('NONE');
  });

  it('an exit ends it for 2 * droplet_lost; what is heard later is believed', () => {
    const crash = (agoMs: number) => exit('a', { atMs: NOW - agoMs });
    expect(counts({}, 0, crash(0))).toBe('NONE');
    expect(counts({}, 0, crash(2 * LOST))).toBe('NONE');
    expect(counts({}, 0, crash(2 * LOST + 1))).toBe('RUNNING');
    expect(counts({}, 1, crash(2 * LOST + 1))).toBe('NONE');
  });

  it('an instance that said DEA_EVACUATION counts as EVACUATING, whatever late heartbeats say', () => {
    expect(counts({}, 0, exit('a', { reason: 'DEA_EVACUATION' }))).toBe('EVACUATING');
    expect(counts({ state: 'CRASHED' }, 0, exit('a', { reason: 'DEA_EVACUATION' }))).toBe('NONE');
  });

  it('of two exits of an instance the end counts, not its announcement', () => {
    const announced = exit('a', { reason: 'DEA_EVACUATION' });
    const ended = exit('a', { reason: 'STOPPED' });
    expect(exitsByInstance([announced, ended]).get('a')).toBe(ended);
    expect(exitsByInstance([ended, announced]).get('a')).toBe(ended);
  });
});

it('no more slots are wanted than there are indices', () => {
  expect(wantedIndices(droplet({ desired: desired({ instances: 1_000_000 }) }))).toBe(65_536);
});

describe('actual_not_fresh', () => {
  const listen = (secondsAgo: number[]) =>
    secondsAgo.reduce<Streak | undefined>(
      (l, s) => extendStreak(l, NOW - s * SECOND, watermarkGapMs(SETTINGS)),
      undefined,
    );

  it.each<[string, number[], boolean]>([
    ['never listened', [], true],
    ['listening for less than droplet_lost', [29, 20, 10, 0], true],
    ['listening for droplet_lost', [30, 20, 10, 0], false],
    ['a short restart does not raise it', [60, 50, 40, 30, 20, 10], false],
    ['a gap of more than a third of droplet_lost does', [60, 50, 29, 20, 10, 0], true],
    ['and so does silence now', [60, 50, 40, 30, 20, 11], true],
  ])('%s', (_, secondsAgo, expected) => {
    expect(isActualNotFresh(listen(secondsAgo), NOW, SETTINGS)).toBe(expected);
  });
});

it('desired_unavailable: no pass yet, or the last one older than desired_state_lost', () => {
  expect(isDesiredUnavailable(undefined, NOW, SETTINGS)).toBe(true);
  expect(isDesiredUnavailable(NOW - 180 * SECOND, NOW, SETTINGS)).toBe(false);
  expect(isDesiredUnavailable(NOW - 180 * SECOND - 1, NOW, SETTINGS)).toBe(true);
});

describe('mass_loss', () => {
  /** `silent` DEAs of ten were last heard so many seconds ago, the others just now. */
  const fleet = (silent: number, agoS: number, over: Partial<DeaFacts> = {}): DeaFacts[] =>
    Array.from({ length: 10 }, (_, i) => ({
      guid: `dea-${i}`,
      lastHeartbeatMs: i < silent ? NOW - agoS * SECOND : NOW,
      runsSomething: true,
      shutdown: false,
      ...(i < silent ? over : {}),
    }));
  const next = (state: MassLoss, facts: DeaFacts[], nowMs = NOW) =>
    nextMassLoss(state, facts, nowMs, SETTINGS);
  const isOn = ({ sinceMs }: MassLoss) => sinceMs !== undefined;
  const ON = next(NO_MASS_LOSS, fleet(6, 21));

  it.each<[string, DeaFacts[], boolean]>([
    ['enough of them silent for more than two thirds of droplet_lost', fleet(6, 20.001), true],
    ['not silent for long enough', fleet(6, 20), false],
    ['too small a share', fleet(5, 21), false],
    ['fewer than minimum_deas', fleet(2, 21).slice(0, 2), false],
    ['exactly minimum_deas', fleet(3, 21).slice(0, 3), true],
    ['silent ones that run nothing do not count', fleet(6, 21, { runsSomething: false }), false],
    ['silent ones that said dea.shutdown do not count', fleet(6, 21, { shutdown: true }), false],
    ['silent for 3 * droplet_lost', fleet(6, 90), true],
    ['silent for more than 3 * droplet_lost: dead long since', fleet(6, 90.001), false],
    [
      'those that are heard and run nothing do not count either',
      fleet(5, 21).map((dea, at) => ({ ...dea, runsSomething: at < 9 })),
      true,
    ],
  ])('%s', (_, facts, expected) => {
    expect(isOn(next(NO_MASS_LOSS, facts))).toBe(expected);
  });

  it('exactly the fraction is enough', () => {
    const half = { ...SETTINGS, massLoss: { ...SETTINGS.massLoss, fraction: 0.5 } };
    expect(isOn(nextMassLoss(NO_MASS_LOSS, fleet(5, 21), NOW, half))).toBe(true);
    expect(isOn(nextMassLoss(NO_MASS_LOSS, fleet(4, 21), NOW, half))).toBe(false);
  });

  it('is on since it was raised', () => {
    expect(next(ON, fleet(6, 21), NOW + 10 * SECOND).sinceMs).toBe(NOW);
  });

  it('those that are forgotten while it is on stay counted below the line too', () => {
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

  it('while it is on, the counted stay counted until they are heard, also when they are forgotten', () => {
    const long = next(ON, fleet(6, 200));
    expect(long.lateDeas).toHaveLength(6);
    expect(next(ON, fleet(6, 200, { runsSomething: false })).lateDeas).toHaveLength(6);
    const forgotten = next(ON, fleet(6, 0).slice(6));
    expect(isOn(forgotten)).toBe(true);
    expect(forgotten.lateDeas).toHaveLength(6);
  });

  it('ends when the share has been below for a third of droplet_lost, not at once', () => {
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

  it.each(['its time is over', 'an operator releases it'])(
    'when %s, what is late then counts as dead until it is heard',
    (how) => {
      const hold = { ...SETTINGS, massLoss: { ...SETTINGS.massLoss, holdMs: 10 * SECOND } };
      const then = NOW + 10 * SECOND;
      const ended =
        how === 'its time is over' ? nextMassLoss(ON, fleet(6, 21), then, hold) : releaseMassLoss(ON, then);
      expect(ended).toMatchObject({ lateDeas: [] });
      expect(isOn(ended)).toBe(false);
      expect(isOn(nextMassLoss(ended, fleet(6, 21), then + SECOND, hold))).toBe(false);
      const lostAgain = fleet(6, -11).map((d) => ({ ...d, lastHeartbeatMs: then + SECOND }));
      expect(isOn(nextMassLoss(ended, lostAgain, then + 22 * SECOND, hold))).toBe(true);
    },
  );

  it('when its time is over, those that fell silent since it began are judged anew, at once', () => {
    // No analyzer ran for a while: the DEAs came back, and are cut off again.
    const then = NOW + SETTINGS.massLoss.holdMs;
    const again = fleet(6, 0).map((dea) => ({ ...dea, lastHeartbeatMs: then - 40 * SECOND }));
    expect(nextMassLoss(ON, again, then, SETTINGS)).toMatchObject({
      sinceMs: then,
      lateDeas: again.map(({ guid }) => guid),
    });
    const back = again.map((dea) => ({ ...dea, lastHeartbeatMs: then - SECOND }));
    expect(isOn(nextMassLoss(ON, back, then, SETTINGS))).toBe(false);
  });
});

describe('mass_delete', () => {
  const afterPass = (accepted: number | undefined, listed: number, previous: MassDelete = {}) =>
    massDeleteAfterPass(
      { ...previous, ...(accepted === undefined ? {} : { accepted }) },
      listed,
      NOW,
      SETTINGS,
    );
  const isOn = ({ sinceMs }: MassDelete) => sinceMs !== undefined;

  it.each<[string, number | undefined, number, boolean]>([
    ['the first pass', undefined, 0, false],
    ['an empty database', 100, 0, true],
    ['half of them gone', 100, 50, false],
    ['more than half', 100, 49, true],
    ['a small cloud: fewer than minimum_droplets', 9, 0, false],
    ['exactly minimum_droplets', 10, 0, true],
    ['more than before', 10, 100, false],
  ])('%s', (_, accepted, listed, expected) => {
    expect(isOn(afterPass(accepted, listed))).toBe(expected);
  });

  it('goes on against the last accepted pass, and ends when they are listed again', () => {
    const on = afterPass(100, 0);
    const still = massDeleteAfterPass(on, 10, NOW + SECOND, SETTINGS);
    expect(still).toEqual({ sinceMs: NOW, accepted: 100, listed: 10 });
    expect(massDeleteAfterPass(still, 60, NOW + SECOND, SETTINGS)).toEqual({ accepted: 60 });
  });

  it('after its time, or by an operator, the latest pass counts as accepted', () => {
    const on = afterPass(100, 3);
    expect(massDeleteAfter(on, NOW + 3600 * SECOND - 1, SETTINGS)).toBe(on);
    expect(massDeleteAfter(on, NOW + 3600 * SECOND, SETTINGS)).toEqual({ accepted: 3 });
    expect(massDeleteAfterPass(on, 3, NOW + 3600 * SECOND, SETTINGS)).toEqual({ accepted: 3 });
    expect(releaseMassDelete(on)).toEqual({ accepted: 3 });
    expect(isOn(massDeleteAfterPass(releaseMassDelete(on), 3, NOW, SETTINGS))).toBe(false);
  });
});
