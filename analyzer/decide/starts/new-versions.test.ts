import { describe, expect, it } from 'vitest';
import type { Droplet, Instance } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  instance,
  LOST,
  NOW,
  SECOND,
} from '../../../common/testing/builders.ts';
import { type Conditions, evaluate, starts } from '../simulation/evaluate.ts';

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
    [
      'Redis had lost its times',
      renamed(),
      { deas: deas({ 'dea-1': { lastHeartbeatMs: NOW - 1000, isRestored: true } }) },
      [],
    ],
    ['it sent one in the millisecond of the pass', renamed(), { deas: silent(5000) }, []],
    ['it sent one before it can have heard of the new version', renamed(), { deas: silent(2500) }, []],
    [
      'it has sent one, which still lists the old version',
      renamed(),
      { deas: silent(2499) },
      ['missing 0 normal'],
    ],
    [
      'its heartbeat is not stored yet: only its time is',
      renamed(),
      { deas: silent(1000), holds: { heartbeatWatermarkMs: NOW - 1001 } },
      [],
    ],
    [
      'the heartbeat before is stored',
      renamed({ dea: 'dea-2' }),
      {
        deas: deas({ 'dea-2': { lastHeartbeatMs: NOW, previousHeartbeatMs: NOW - 2000 } }),
        holds: { heartbeatWatermarkMs: NOW - 1 },
      },
      ['missing 0 normal'],
    ],
    [
      'what it listed may be lost with an ingestor',
      renamed(),
      { deas: silent(1500), holds: { lossPossibleUntilMs: NOW - 1000 } },
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
    [
      'but it is while mass_loss counts it: it may have renamed the instance before it was cut off',
      { ...renamed(), versionSinceMs: NOW - LOST - 1 },
      { deas: silent(LOST + 1), holds: { massLossDeas: new Set(['dea-1']) } },
      [],
    ],
    [
      'mass_loss keeps back nothing of another index',
      { ...renamed({ index: 1 }), versionSinceMs: NOW - LOST - 1 },
      { deas: silent(LOST + 1), holds: { massLossDeas: new Set(['dea-1']) } },
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
