import { describe, expect, test } from 'vitest';
import type { Droplet } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  LOST,
  NOW,
  SECOND,
  SETTINGS,
  slot,
} from '../../../common/testing/builders.ts';
import { decide } from '../../decide/decide.ts';
import { latenciesOf } from './latency.ts';
import { recordPatch } from './record-patch.ts';

/** The latencies of evaluating this droplet now. */
function latencies(record: Droplet, dea1 = { lastHeartbeatMs: NOW - 2 * SECOND }) {
  const liveness = deas({ 'dea-1': dea1 });
  const decided = decide(record, liveness, holds(), NOW, SETTINGS);
  const evaluation = { droplet: record, decided, deas: liveness, nowMs: NOW, lostBeforeMs: NOW - LOST };
  return latenciesOf(evaluation, recordPatch(evaluation, SETTINGS).log);
}

const silent = { lastHeartbeatMs: NOW - LOST - 400 };
const started = { id: 's', reason: 'missing', priority: 'normal', decidedMs: NOW - 9 * SECOND } as const;
const sent = { id: 's', outcome: 'sent', atMs: NOW - 8 * SECOND } as const;

describe('detection', () => {
  test('of a crash and of a shutdown counts from the message', () => {
    const crash = droplet({ instances: [instance('a')], exits: [exit('a', { atMs: NOW - 7 })] });
    expect(latencies(crash)).toEqual([{ of: 'detection', reason: 'crashed', ms: 7 }]);
    const shutdown = droplet({
      instances: [instance('a')],
      exits: [exit('a', { reason: 'DEA_SHUTDOWN', atMs: NOW - 5 })],
    });
    expect(latencies(shutdown)).toEqual([{ of: 'detection', reason: 'evacuated', ms: 5 }]);
  });

  test('of a flapping slot does not include the delay of its restart', () => {
    const flapping = droplet({
      exits: [exit('a', { atMs: NOW - 3 })],
      slots: [slot({ crashes: 1, lastCrashMs: NOW - 20 * SECOND })],
    });
    expect(latencies(flapping)).toEqual([{ of: 'detection', reason: 'flapping', ms: 3 }]);
  });

  test('of each slot counts from its own exit', () => {
    const both = droplet({
      desired: desired({ instances: 2 }),
      instances: [instance('a'), instance('b', { index: 1 })],
      exits: [exit('a', { atMs: NOW - 9 }), exit('b', { index: 1, atMs: NOW - 4 })],
    });
    expect(latencies(both).map(({ ms }) => ms)).toEqual([9, 4]);
  });

  test('of a silent DEA counts from its last heartbeat', () => {
    expect(latencies(droplet({ instances: [instance('a')] }), silent)).toEqual([
      { of: 'detection', reason: 'missing', ms: LOST + 400 },
    ]);
  });

  test('is none if nothing was lost: a new app, one that was stopped or updated, a crashed instance', () => {
    const never = droplet();
    const stopped = droplet({
      instances: [instance('a')],
      exits: [exit('a', { reason: 'STOPPED', atMs: NOW - 60 * SECOND, n: 1 })],
      handledExits: 1,
    });
    const updated = droplet({
      instances: [instance('a', { lastListedMs: NOW - 90 * SECOND })],
      updatedMs: NOW - 60 * SECOND,
      handledUpdateMs: NOW - 60 * SECOND,
      listedMs: NOW - 50 * SECOND,
    });
    const crashed = droplet({ instances: [instance('a', { state: 'CRASHED' })] });
    for (const record of [never, stopped, updated, crashed]) {
      const { decisions } = decide(record, deas(), holds(), NOW, SETTINGS);
      expect(decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
      expect(latencies(record)).toEqual([]);
    }
  });
});

describe('healing', () => {
  test('counts from the decision to the first heartbeat', () => {
    const healed = droplet({
      instances: [instance('b', { firstListedMs: NOW - SECOND })],
      slots: [slot({ start: started })],
      outcomes: [sent],
    });
    expect(latencies(healed)).toEqual([{ of: 'healing', reason: 'missing', ms: 8 * SECOND }]);
  });

  test('of a flapping slot counts from when its restart was due', () => {
    const start = {
      ...started,
      reason: 'flapping',
      decidedMs: NOW - 70 * SECOND,
      dueMs: NOW - 8 * SECOND,
    } as const;
    const healed = droplet({
      instances: [instance('b', { firstListedMs: NOW - SECOND })],
      slots: [slot({ crashes: 2, lastCrashMs: NOW - 70 * SECOND, flapping: true, start })],
      outcomes: [sent],
    });
    expect(latencies(healed)).toEqual([{ of: 'healing', reason: 'flapping', ms: 7 * SECOND }]);
  });

  test('is none if the old instance is back', () => {
    const again = droplet({ instances: [instance('a')], slots: [slot({ start: started })] });
    expect(latencies(again)).toEqual([]);
  });
});
