import { describe, expect, it } from 'vitest';
import type { Slot } from '../../../common/model/droplet.ts';
import { desired, droplet, exit, instance, LOST, NOW } from '../../../common/testing/builders.ts';
import { applyDecision } from '../simulation/fixtures.ts';
import { evaluate, flapping, pending, TIMEOUT } from '../simulation/flapping.ts';

describe('given up', () => {
  const givenUp = (over: Partial<Slot> = {}) => flapping({ crashes: 5, lastCrashMs: NOW - TIMEOUT, ...over });

  it('no start of any reason is decided', () => {
    expect(evaluate(droplet({ slots: [givenUp()] })).decisions).toEqual([]);
    const evacuating = [instance('e', { state: 'EVACUATING' })];
    expect(evaluate(droplet({ slots: [givenUp()], instances: evacuating })).decisions).toEqual([]);
    const shutDown = [exit('e', { reason: 'DEA_SHUTDOWN' })];
    expect(evaluate(droplet({ slots: [givenUp()], exits: shutDown })).decisions).toEqual([]);
  });

  it('ends after flapping_timeout without a crash', () => {
    expect(evaluate(droplet({ slots: [givenUp()] })).requeueAtMs).toBe(NOW + 1);
    expect(evaluate(droplet({ slots: [givenUp()] }), NOW + 1).decisions).toMatchObject([
      { kind: 'start', reason: 'missing' },
    ]);
  });

  it('requeues for its end, also if the slot ran in between', () => {
    expect(evaluate(droplet({ slots: [givenUp({ flapping: false })] })).requeueAtMs).toBe(NOW + 1);
  });

  it('ends at a new version, and at an update once a pass came and the grace period ended', () => {
    const pushed = droplet({ slots: [givenUp()], desired: desired({ version: 'v2' }) });
    expect(evaluate(pushed).decisions).toMatchObject([{ kind: 'start', reason: 'missing', version: 'v2' }]);
    const updated = droplet({ slots: [givenUp()], updatedMs: NOW - LOST, listedMs: NOW });
    expect(evaluate(updated).decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
  });

  it('is decided once, and cancels a waiting start', () => {
    const d = droplet({
      slots: [flapping({ crashes: 4, start: pending({ reason: 'missing', priority: 'normal' }) })],
      exits: [exit('dup')],
    });
    const decided = evaluate(d);
    expect(decided.decisions).toMatchObject([
      { kind: 'giveup', index: 0, crashes: 5 },
      { kind: 'cancel', id: 'r1', why: 'given_up' },
    ]);
    const again = { ...applyDecision(d, decided), exits: [...d.exits, exit('dup2')] };
    expect(evaluate(again).decisions).toEqual([]);
  });
});
