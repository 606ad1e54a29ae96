import { describe, expect, it } from 'vitest';
import type { Droplet } from '../../model/droplet.ts';
import type { OperatorHold } from '../../model/operator-hold.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  LOST,
  NOW,
  operatorHold,
  SECOND,
  SETTINGS,
  slot,
} from '../../testing/builders.ts';
import { Recheck } from '../recheck.ts';
import { operatorHoldOnStart, operatorHoldOnStop } from './operator-hold.ts';

const lostOn = (dea: string, guid: string, firstListedMs = NOW - 3600 * SECOND) =>
  instance(guid, { dea, firstListedMs, lastListedMs: NOW - LOST - SECOND });

const startHeld = (d: Droplet, ...operatorHolds: OperatorHold[]) =>
  operatorHoldOnStart({ droplet: d, holds: holds({ operatorHolds }) }, 0)?.id;
const stopHeld = (d: Droplet, ...operatorHolds: OperatorHold[]) =>
  operatorHoldOnStop({ droplet: d, holds: holds({ operatorHolds }) }, d.instances[0] ?? instance('a'))?.id;

describe('what an operator hold covers', () => {
  const d = droplet({ instances: [lostOn('dea-1', 'a')] });
  it.each<[string, Partial<OperatorHold>, start: boolean, stop: boolean]>([
    ['everything', {}, true, true],
    ['starts of everything', { covers: 'starts' }, true, false],
    ['stops of everything', { covers: 'stops' }, false, true],
    ['this droplet', { droplet: 'droplet-1' }, true, true],
    ['starts of this droplet', { droplet: 'droplet-1', covers: 'starts' }, true, false],
    ['another droplet', { droplet: 'droplet-2' }, false, false],
    ['the DEA of its instance', { dea: 'dea-1' }, true, true],
    ['stops of the DEA of its instance', { dea: 'dea-1', covers: 'stops' }, false, true],
    ['another DEA', { dea: 'dea-2' }, false, false],
  ])('%s', (_, over, start, stop) => {
    expect(startHeld(d, operatorHold(over)) !== undefined).toBe(start);
    expect(stopHeld(d, operatorHold(over)) !== undefined).toBe(stop);
  });

  it('a slot belongs to the DEA of its latest instance of the live version', () => {
    const moved = [lostOn('dea-1', 'a', NOW - 200 * SECOND), lostOn('dea-2', 'b', NOW - 100 * SECOND)];
    const two = droplet({ instances: moved });
    expect(startHeld(two, operatorHold({ dea: 'dea-1' }))).toBeUndefined();
    expect(startHeld(two, operatorHold({ dea: 'dea-2' }))).toBe('h1');
    const other = droplet({ instances: [instance('a', { version: 'v0' }), instance('b', { index: 1 })] });
    expect(startHeld(other, operatorHold({ dea: 'dea-1' }))).toBeUndefined();
    expect(startHeld(droplet(), operatorHold({ dea: 'dea-1' }))).toBeUndefined();
  });

  it('of several that cover it the one that ends last is named', () => {
    const short = operatorHold({ id: 'short', untilMs: NOW + SECOND });
    const long = operatorHold({ id: 'long', untilMs: NOW + 9 * SECOND });
    expect(startHeld(d, short, long)).toBe('long');
    expect(stopHeld(d, long, short)).toBe('long');
    expect(startHeld(d)).toBeUndefined();
  });
});

describe('the recheck sends nothing that is paused', () => {
  const starting = (reason: 'missing' | 'crashed' | 'evacuated' | 'flapping') =>
    droplet({
      slots: [slot({ start: { id: 's1', reason, priority: 'normal', decidedMs: NOW - SECOND } })],
    });
  const check = (d: Droplet, operatorHolds: OperatorHold[]) =>
    new Recheck(d, deas(), holds({ operatorHolds }), NOW, SETTINGS).checkStart({
      id: 's1',
      index: 0,
      version: 'v1',
    });

  it.each(['missing', 'crashed', 'evacuated', 'flapping'] as const)('a start of reason %s', (reason) => {
    const d = starting(reason);
    expect(check(d, [])).toMatchObject({ reason });
    expect(check(d, [operatorHold({ covers: 'starts' })])).toEqual({ drop: 'held:operator' });
    expect(check(d, [operatorHold({ droplet: 'droplet-1' })])).toEqual({ drop: 'held:operator' });
    expect(check(d, [operatorHold({ covers: 'stops' })])).toMatchObject({ reason });
    expect(check(d, [operatorHold({ droplet: 'droplet-2' })])).toMatchObject({ reason });
  });

  it('a stop, whatever its reason', () => {
    const stops = [{ instance: 'b', id: 'p1', reason: 'stopped', decidedMs: NOW - SECOND } as const];
    const wanted = [
      droplet({ desired: desired({ state: 'STOPPED' }), instances: [instance('b')], stops }),
      droplet({ instances: [instance('a'), instance('b', { index: 1 })], stops }),
      droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('b')], stops }),
      droplet({ instances: [instance('a'), instance('b', { version: 'v0' })], stops }),
    ];
    for (const d of wanted) {
      const checkStop = (operatorHolds: OperatorHold[]) =>
        new Recheck(d, deas(), holds({ operatorHolds }), NOW, SETTINGS).checkStop({
          id: 'p1',
          instance: 'b',
        });
      expect(checkStop([])).toHaveProperty('send');
      expect(checkStop([operatorHold({ covers: 'stops' })])).toEqual({ drop: 'held:operator' });
      expect(checkStop([operatorHold({ dea: 'dea-1' })])).toEqual({ drop: 'held:operator' });
      expect(checkStop([operatorHold({ covers: 'starts' })])).toHaveProperty('send');
      expect(checkStop([operatorHold({ dea: 'dea-2' })])).toHaveProperty('send');
    }
  });

  it('a waiting start of a slot whose instance exited on a paused DEA', () => {
    const d = droplet({
      instances: [instance('a', { lastListedMs: NOW - 2 * SECOND })],
      exits: [exit('a', { atMs: NOW - SECOND })],
      handledExits: 1e9,
      slots: [slot({ start: { id: 's1', reason: 'crashed', priority: 'low', decidedMs: NOW - SECOND } })],
    });
    expect(check(d, [operatorHold({ dea: 'dea-1' })])).toEqual({ drop: 'held:operator' });
    expect(check(d, [operatorHold({ dea: 'dea-3' })])).toMatchObject({ reason: 'crashed' });
  });
});
