import { describe, expect, it } from 'vitest';
import type { Droplet, Instance } from '../model/droplet.ts';
import { desired, droplet, instance, NOW } from '../testing/builders.ts';
import { acceptsStart, acceptsStop } from './admission.ts';

const ofTwo = (over: Parameters<typeof desired>[0] = {}) =>
  droplet({ desired: desired({ instances: 2, ...over }) });

describe('a start that a controller refuses', () => {
  it.each<[string, Droplet, string, number, number, boolean]>([
    ['none', ofTwo(), 'v1', 1, 1, true],
    ['not desired', droplet({ desired: undefined }), 'v1', 1, 1, false],
    ['not STARTED', ofTwo({ state: 'STOPPED' }), 'v1', 1, 1, false],
    ['not the current version', ofTwo(), 'v0', 1, 1, false],
    ['out of range', ofTwo(), 'v1', 2, 1, false],
    ['as many run as are wanted', ofTwo(), 'v1', 1, 2, false],
  ])('%s', (_, d, version, index, running, expected) => {
    expect(acceptsStart(d, version, index, new Map([[version, running]]))).toBe(expected);
  });

  it('counts what the message does not name as none', () => {
    expect(acceptsStart(ofTwo(), 'v1', 0, new Map())).toBe(true);
  });
});

describe('a stop that a controller refuses', () => {
  const live = instance('a');
  const old = instance('old', { version: 'v0' });

  it.each<[string, Droplet, Instance, number, boolean, boolean]>([
    ['none: as many stay as are wanted', ofTwo(), live, 2, false, true],
    ['fewer would stay than are wanted', ofTwo(), live, 1, false, false],
    ['none: the live version runs', ofTwo(), old, 1, false, true],
    ['the live version does not run', ofTwo(), old, 0, false, false],
    ['none: not STARTED', ofTwo({ state: 'STOPPED' }), live, 0, false, true],
    ['none: not desired', droplet({ desired: undefined }), live, 0, false, true],
    ['none: not desired any more', { ...ofTwo(), goneMs: NOW }, live, 0, false, true],
    ['none: no instances are wanted', ofTwo({ instances: 0 }), live, 0, false, true],
    ['the last one of the live version while others leave', ofTwo({ instances: 0 }), live, 0, true, false],
  ])('%s', (_, d, victim, stays, othersLeave, expected) => {
    expect(acceptsStop(d, victim, stays, othersLeave)).toBe(expected);
  });
});
