import { describe, expect, it } from 'vitest';
import type { Droplet } from '../../model/droplet.ts';
import { deas, droplet, exit, instance, NOW, SECOND, SETTINGS } from '../../testing/builders.ts';
import { crashesOf } from './crashes.ts';

const TIMEOUT = SETTINGS.flappingTimeoutMs;

/** `<instance> <sinceS>` of each crash record. */
const crashes = (d: Droplet, liveness = deas()) =>
  crashesOf(d, liveness, NOW, SETTINGS).map(({ instance: guid, sinceS }) => `${guid} ${sinceS}`);

describe('crash records contain', () => {
  it.each<[string, Droplet, string[]]>([
    [
      'an exit with CRASHED, since its crash_timestamp',
      droplet({ exits: [exit('a', { crashTimestampS: 12.5 })] }),
      ['a 12.5'],
    ],
    [
      'an exit until flapping_timeout after its receipt',
      droplet({ exits: [exit('a', { atMs: NOW - TIMEOUT, crashTimestampS: 5 })] }),
      ['a 5'],
    ],
    ['no older exit', droplet({ exits: [exit('a', { atMs: NOW - TIMEOUT - 1 })] }), []],
    [
      'no exit with another reason',
      droplet({ exits: [exit('a', { reason: 'STOPPED' }), exit('b', { reason: 'DEA_SHUTDOWN' })] }),
      [],
    ],
    [
      'an instance listed as CRASHED, since its state_timestamp',
      droplet({ instances: [instance('new', { state: 'CRASHED', stateTimestampS: 7.25 })] }),
      ['new 7.25'],
    ],
    [
      'a CRASHED instance until flapping_timeout after it was last listed',
      droplet({ instances: [instance('new', { state: 'CRASHED', lastListedMs: NOW - TIMEOUT })] }),
      ['new 1000'],
    ],
    [
      'no CRASHED instance that was last listed earlier',
      droplet({ instances: [instance('new', { state: 'CRASHED', lastListedMs: NOW - TIMEOUT - 1 })] }),
      [],
    ],
    [
      'no instance in another state',
      droplet({ instances: [instance('a'), instance('b', { state: 'STARTING' })] }),
      [],
    ],
    [
      'both an exit and the CRASHED instance that its DEA lists under a new guid',
      droplet({
        instances: [instance('new', { state: 'CRASHED', stateTimestampS: 7 })],
        exits: [exit('old', { crashTimestampS: 6 })],
      }),
      ['new 7', 'old 6'],
    ],
  ])('%s', (_, d, expected) => {
    expect(crashes(d)).toEqual(expected);
  });

  it('no CRASHED instance on a DEA that has been silent for flapping_timeout', () => {
    const d = droplet({ instances: [instance('new', { state: 'CRASHED' })] });
    const silentFor = (ms: number) => deas({ 'dea-1': { lastHeartbeatMs: NOW - ms } });
    expect(crashes(d, silentFor(TIMEOUT))).toHaveLength(1);
    expect(crashes(d, silentFor(TIMEOUT + SECOND))).toEqual([]);
  });
});
