import { describe, expect, it } from 'vitest';
import type { Droplet, Instance } from '../model/droplet.ts';
import { desired, droplet, instance, NOW } from '../testing/builders.ts';
import { acceptsStart, acceptsStop } from './admission.ts';

const ofTwo = (over: Parameters<typeof desired>[0] = {}) =>
  droplet({ desired: desired({ instances: 2, ...over }) });

describe('a start', () => {
  it.each<[string, Droplet, string, number, number, boolean]>([
    ['is accepted for a wanted index of the live version', ofTwo(), 'v1', 1, 1, true],
    ['is refused when the droplet is not desired', droplet({ desired: undefined }), 'v1', 1, 1, false],
    ['is refused when the droplet is not STARTED', ofTwo({ state: 'STOPPED' }), 'v1', 1, 1, false],
    ['is refused for another than the live version', ofTwo(), 'v0', 1, 1, false],
    ['is refused for an index that is not wanted', ofTwo(), 'v1', 2, 1, false],
    ['is refused when as many instances run as are wanted', ofTwo(), 'v1', 1, 2, false],
  ])('%s', (_, d, version, index, running, expected) => {
    expect(acceptsStart(d, version, index, new Map([[version, running]]))).toBe(expected);
  });

  it('is accepted when no instance of the version runs', () => {
    expect(acceptsStart(ofTwo(), 'v1', 0, new Map())).toBe(true);
  });
});

describe('a stop', () => {
  const live = instance('a');
  const old = instance('old', { version: 'v0' });

  it.each<[string, Droplet, Instance, number, boolean, boolean]>([
    ['is accepted when as many stay RUNNING as are wanted', ofTwo(), live, 2, false, true],
    ['is refused when fewer would stay RUNNING than are wanted', ofTwo(), live, 1, false, false],
    ['of another version is accepted while the live version runs', ofTwo(), old, 1, false, true],
    ['of another version is refused while the live version does not run', ofTwo(), old, 0, false, false],
    ['is accepted when the droplet is not STARTED', ofTwo({ state: 'STOPPED' }), live, 0, false, true],
    ['is accepted when the droplet is not desired', droplet({ desired: undefined }), live, 0, false, true],
    [
      'is accepted when the droplet is not desired any more',
      { ...ofTwo(), goneMs: NOW },
      live,
      0,
      false,
      true,
    ],
    ['is accepted when no instances are wanted', ofTwo({ instances: 0 }), live, 0, false, true],
    [
      'of the last one of the live version is refused while another version is stopping',
      ofTwo({ instances: 0 }),
      live,
      0,
      true,
      false,
    ],
  ])('%s', (_, d, victim, stays, otherVersionStopping, expected) => {
    expect(acceptsStop(d, victim, stays, otherVersionStopping)).toBe(expected);
  });
});
