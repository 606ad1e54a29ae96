import { describe, expect, it } from 'vitest';
import type { Droplet } from '../model/droplet.ts';
import { deas, droplet, exit, instance, NOW, SECOND, SETTINGS } from '../testing/builders.ts';
import { crashesOf } from './crashes.ts';

const TIMEOUT = SETTINGS.flappingTimeoutMs;

/** `instance sinceS` of each crash. */
const crashes = (d: Droplet, liveness = deas()) =>
  crashesOf(d, liveness, NOW, SETTINGS).map(({ instance: guid, sinceS }) => `${guid} ${sinceS}`);

describe('crash records', () => {
  it.each<[string, Droplet, string[]]>([
    [
      'an exit with CRASHED, since its crash_timestamp',
      droplet({ exits: [exit('a', { crashTimestampS: 12.5 })] }),
      ['a 12.5'],
    ],
    [
      'for flapping_timeout',
      droplet({ exits: [exit('a', { atMs: NOW - TIMEOUT, crashTimestampS: 5 })] }),
      ['a 5'],
    ],
    ['not for longer', droplet({ exits: [exit('a', { atMs: NOW - TIMEOUT - 1 })] }), []],
    [
      'no other exit',
      droplet({ exits: [exit('a', { reason: 'STOPPED' }), exit('b', { reason: 'DEA_SHUTDOWN' })] }),
      [],
    ],
    [
      'an instance heard as CRASHED, since its state_timestamp',
      droplet({ instances: [instance('new', { state: 'CRASHED', stateTimestampS: 7.25 })] }),
      ['new 7.25'],
    ],
    [
      'for flapping_timeout after it was last listed',
      droplet({ instances: [instance('new', { state: 'CRASHED', lastListedMs: NOW - TIMEOUT })] }),
      ['new 1000'],
    ],
    [
      'not for longer after it was last listed',
      droplet({ instances: [instance('new', { state: 'CRASHED', lastListedMs: NOW - TIMEOUT - 1 })] }),
      [],
    ],
    [
      'no instance in another state',
      droplet({ instances: [instance('a'), instance('b', { state: 'STARTING' })] }),
      [],
    ],
    [
      'both the exit and the trace under its new guid',
      droplet({
        instances: [instance('new', { state: 'CRASHED', stateTimestampS: 7 })],
        exits: [exit('old', { crashTimestampS: 6 })],
      }),
      ['new 7', 'old 6'],
    ],
  ])('%s', (_, d, expected) => {
    expect(crashes(d)).toEqual(expected);
  });

  it('a trace on a DEA that has been silent for flapping_timeout is none', () => {
    const d = droplet({ instances: [instance('new', { state: 'CRASHED' })] });
    const silentFor = (ms: number) => deas({ 'dea-1': { lastHeartbeatMs: NOW - ms } });
    expect(crashes(d, silentFor(TIMEOUT))).toHaveLength(1);
    expect(crashes(d, silentFor(TIMEOUT + SECOND))).toEqual([]);
  });
});
