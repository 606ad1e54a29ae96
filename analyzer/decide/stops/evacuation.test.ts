import { describe, expect, it } from 'vitest';
import type { Droplet, Instance, Outcome, PendingStart, PendingStop } from '../../../common/model/droplet.ts';
import {
  desired,
  droplet,
  exit,
  instance,
  LOST,
  NOW,
  SECOND,
  slot,
} from '../../../common/testing/builders.ts';
import { evaluate, kinds, starts, stops } from '../simulation/evaluate.ts';
import { applyDecision } from '../simulation/fixtures.ts';

const at = (index: number, over: Partial<Instance> = {}) => instance(`i${index}`, { index, ...over });
const started = (instances: number, ...all: Instance[]) =>
  droplet({ desired: desired({ instances }), instances: all });
const stop = (guid: string, over: Partial<PendingStop> = {}): PendingStop => ({
  instance: guid,
  id: `stop-${guid}`,
  reason: 'extra_index',
  decidedMs: NOW - SECOND,
  ...over,
});
function waiting(over: Partial<PendingStart> = {}): PendingStart {
  return { id: 'd1', reason: 'missing', priority: 'normal', decidedMs: NOW - 5 * SECOND, ...over };
}

const sent = (agoMs: number, id = 'd1'): Outcome => ({ id, outcome: 'sent', atMs: NOW - agoMs });

describe('evacuated', () => {
  it.each<[string, Droplet, string[]]>([
    [
      'DEA_SHUTDOWN',
      droplet({ instances: [instance('a')], exits: [exit('a', { reason: 'DEA_SHUTDOWN' })] }),
      ['evacuated 0 high'],
    ],
    [
      'DEA_EVACUATION, while heartbeats still report RUNNING',
      droplet({ instances: [instance('a')], exits: [exit('a', { reason: 'DEA_EVACUATION' })] }),
      ['evacuated 0 high'],
    ],
    [
      'DEA_EVACUATION of an instance that no heartbeat listed',
      droplet({ firstSeenMs: NOW, exits: [exit('x', { reason: 'DEA_EVACUATION' })] }),
      ['evacuated 0 high'],
    ],
    [
      'a crash and an evacuation at one slot: the more urgent',
      droplet({ exits: [exit('x'), exit('y', { reason: 'DEA_SHUTDOWN' })] }),
      ['evacuated 0 high'],
    ],
    [
      'EVACUATING in a heartbeat',
      droplet({ instances: [instance('a', { state: 'EVACUATING' })] }),
      ['evacuated 0 high'],
    ],
    [
      'EVACUATING beside a live one',
      droplet({ instances: [instance('a', { state: 'EVACUATING' }), instance('b', { state: 'STARTING' })] }),
      [],
    ],
    [
      'EVACUATING, not wanted',
      droplet({
        desired: desired({ state: 'STOPPED' }),
        instances: [instance('a', { state: 'EVACUATING' })],
      }),
      [],
    ],
    [
      'EVACUATING, another version',
      droplet({ firstSeenMs: NOW, instances: [instance('a', { state: 'EVACUATING', version: 'v0' })] }),
      [],
    ],
    [
      'EVACUATING for longer than droplet_lost ago',
      droplet({ instances: [instance('a', { state: 'EVACUATING', lastListedMs: NOW - LOST - 1 })] }),
      ['missing 0 normal'],
    ],
  ])('%s', (_, d, expected) => {
    expect(starts(d)).toEqual(expected);
  });

  it('is not delayed by the grace period', () => {
    const d = droplet({ firstSeenMs: NOW, instances: [instance('a', { state: 'EVACUATING' })] });
    expect(starts(d)).toEqual(['evacuated 0 high']);
  });

  it('raises a waiting start to high, once', () => {
    const d = droplet({
      instances: [instance('a', { state: 'EVACUATING' })],
      slots: [slot({ start: waiting({ reason: 'crashed', priority: 'low' }) })],
    });
    const decided = evaluate(d);
    expect(decided.decisions).toMatchObject([{ kind: 'raise', id: 'd1', priority: 'high' }]);
    expect(decided.slots.get(0)?.start).toMatchObject({ id: 'd1', reason: 'evacuated', priority: 'high' });
    expect(kinds(evaluate(applyDecision(d, decided)))).toEqual([]);
  });

  it('does not raise a sent start, nor a pending restart', () => {
    const evacuating = [instance('a', { state: 'EVACUATING' })];
    const wasSent = droplet({
      instances: evacuating,
      slots: [slot({ start: waiting() })],
      outcomes: [sent(SECOND)],
    });
    expect(kinds(evaluate(wasSent))).toEqual([]);
    const restart = waiting({ reason: 'flapping', priority: 'high', dueMs: NOW + SECOND });
    const flapping = slot({ crashes: 2, lastCrashMs: NOW, flapping: true, start: restart });
    expect(kinds(evaluate(droplet({ instances: evacuating, slots: [flapping] })))).toEqual([]);
  });
});

describe('evacuation_complete', () => {
  const leaving = (over: Partial<Instance> = {}) => instance('leaving', { state: 'EVACUATING', ...over });

  it.each<[string, Droplet, string[]]>([
    ['its slot runs elsewhere', started(1, leaving(), at(0)), ['evacuation_complete leaving']],
    ['not while that is STARTING', started(1, leaving(), at(0, { state: 'STARTING' })), []],
    ['not while there is none', started(1, leaving()), []],
    [
      'its index is not wanted any more',
      started(1, at(0), leaving({ index: 3 })),
      ['evacuation_complete leaving'],
    ],
    [
      'its version is not wanted any more',
      started(1, at(0), leaving({ version: 'v0' })),
      ['evacuation_complete leaving'],
    ],
    [
      'its version is not wanted any more, and no instance runs at its index',
      started(2, at(0), leaving({ version: 'v0', index: 1 })),
      ['evacuation_complete leaving'],
    ],
    [
      'not while that is STARTING, though the controller would accept it',
      started(2, leaving(), at(0, { state: 'STARTING' }), at(1), at(5)),
      [],
    ],
    [
      'the desired state is not known',
      droplet({ desired: undefined, firstSeenMs: NOW, instances: [leaving()] }),
      [],
    ],
  ])('%s', (_, d, expected) => {
    expect(stops(d)).toEqual(expected);
  });

  it('not while the one that runs in its slot is being stopped', () => {
    const d = { ...started(1, leaving(), at(0)), stops: new Map([['i0', stop('i0')]]) };
    expect(stops(d)).toEqual([]);
  });

  it('not while the one that runs in its slot is being stopped, though the controller would accept it', () => {
    const d = { ...started(1, leaving(), at(0), at(7)), stops: new Map([['i0', stop('i0')]]) };
    expect(stops(d)).toEqual([]);
  });

  it('after a DEA_EVACUATION exit, while heartbeats still report RUNNING', () => {
    const d = {
      ...started(1, instance('leaving'), at(0)),
      exits: [exit('leaving', { reason: 'DEA_EVACUATION' })],
    };
    expect(stops(d)).toEqual(['evacuation_complete leaving']);
  });
});
