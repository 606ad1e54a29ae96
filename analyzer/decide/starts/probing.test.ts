/** `probe_crashed_apps`: one instance of a crashing app is restarted before all the others. */
import { describe, expect, it } from 'vitest';
import type { Droplet, PendingStart, Slot } from '../../../common/model/droplet.ts';
import { Recheck } from '../../../common/policy/recheck.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  NOW,
  SECOND,
  SETTINGS,
  slot,
} from '../../../common/testing/builders.ts';
import { decide } from '../decide.ts';

const PROBING = { ...SETTINGS, probeCrashedApps: true };
const evaluate = (d: Droplet, settings = PROBING) => decide(d, deas(), holds(), NOW, settings);
const startsOf = (d: Droplet, settings = PROBING) =>
  evaluate(d, settings).decisions.flatMap((x) => (x.kind === 'start' ? [`${x.reason} ${x.index}`] : []));

const crashed = (index: number, over: Partial<Slot> = {}): Slot =>
  slot({ index, crashes: 1, lastCrashMs: NOW - 20 * SECOND, ...over });
const app = (slots: Slot[], more: Parameters<typeof droplet>[0] = {}): Droplet =>
  droplet({ desired: desired({ instances: 3 }), slots, ...more });
const allCrashed = [crashed(0), crashed(1), crashed(2)];

describe('while every wanted index has crashed and none runs', () => {
  it('only index 0 is restarted', () => {
    expect(startsOf(app(allCrashed))).toEqual(['missing 0']);
    expect(startsOf(app(allCrashed), SETTINGS)).toEqual(['missing 0', 'missing 1', 'missing 2']);
    const last = app([crashed(0), crashed(1)], { exits: [exit('c', { index: 2 })] });
    expect(startsOf(last)).toEqual(['missing 0']);
  });

  it('flapping: only index 0 gets its delayed restart', () => {
    const flapping = [0, 1, 2].map((index) => crashed(index, { crashes: 2, flapping: true }));
    expect(startsOf(app(flapping))).toEqual(['flapping 0']);
  });

  it('it stays the only one while it is STARTING', () => {
    expect(startsOf(app(allCrashed, { instances: [instance('a', { state: 'STARTING' })] }))).toEqual([]);
  });

  it('starts of the others that wait are cancelled, and dropped by the recheck', () => {
    const start: PendingStart = { id: 's', reason: 'crashed', priority: 'low', decidedMs: NOW - SECOND };
    const d = app([crashed(0), crashed(1, { start }), crashed(2)]);
    expect(evaluate(d).decisions).toContainEqual(
      expect.objectContaining({ kind: 'cancel', id: 's', why: 'probing' }),
    );
    const job = { id: 's', index: 1, version: 'v1' };
    const recheck = (settings = PROBING) => new Recheck(d, deas(), holds(), NOW, settings).checkStart(job);
    expect(recheck()).toEqual({ drop: 'probing' });
    expect(recheck(SETTINGS)).toHaveProperty('send');
  });
});

describe('the others are started', () => {
  it.each<[string, Droplet, string[]]>([
    ['when index 0 is RUNNING', app(allCrashed, { instances: [instance('a')] }), ['missing 1', 'missing 2']],
    [
      'when another one is',
      app(allCrashed, { instances: [instance('a', { index: 1 })] }),
      ['missing 0', 'missing 2'],
    ],
    [
      'when one of them has not crashed',
      app([crashed(0), crashed(1)]),
      ['missing 0', 'missing 1', 'missing 2'],
    ],
    [
      'when only surplus indices have crashed besides',
      droplet({ desired: desired({ instances: 1 }), slots: allCrashed }),
      ['missing 0'],
    ],
  ])('%s', (_, d, starts) => {
    expect(startsOf(d)).toEqual(starts);
  });

  it('when their crashes are forgotten, although index 0 is given up: they do not wait for ever', () => {
    const old = NOW - 2 * SETTINGS.flappingTimeoutMs - 1;
    const givenUp = crashed(0, { crashes: 9, flapping: true });
    const before = evaluate(app([givenUp, crashed(1), crashed(2)]));
    expect(before.decisions).toEqual([]);
    expect(before.requeueAtMs).toBeLessThanOrEqual(NOW + 2 * SETTINGS.flappingTimeoutMs);
    const forgotten = app([givenUp, crashed(1, { lastCrashMs: old }), crashed(2, { lastCrashMs: old })]);
    expect(startsOf(forgotten)).toEqual(['missing 1', 'missing 2']);
  });
});
