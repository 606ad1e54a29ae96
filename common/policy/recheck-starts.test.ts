import { describe, expect, it } from 'vitest';
import type { Droplet, Holds, PendingStart } from '../model/droplet.ts';
import type { StartReason } from '../model/reasons.ts';
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
} from '../testing/builders.ts';
import type { Deas } from './fleet/liveness.ts';
import { Recheck } from './recheck.ts';

const start = (over: Partial<PendingStart> = {}): PendingStart => ({
  id: 's1',
  reason: 'missing',
  priority: 'normal',
  decidedMs: NOW - SECOND,
  ...over,
});

const starting = (over: Parameters<typeof droplet>[0] = {}, pending: Partial<PendingStart> = {}) =>
  droplet({ slots: [slot({ start: start(pending) })], ...over });

const JOB = { id: 's1', index: 0, version: 'v1' };

function recheckStart(d: Droplet, on: Partial<Holds> = {}, job = JOB, liveness: Deas = deas()) {
  const checked = new Recheck(d, liveness, holds(on), NOW, SETTINGS).checkStart(job);
  if (!('send' in checked)) return checked;
  const { running, ...send } = checked.send;
  return { ...checked, send: { ...send, running: Object.fromEntries(running) } };
}

describe('the recheck of a start', () => {
  it('sends it with the fields of the contract, and counts as of now', () => {
    const d = starting({
      desired: desired({ instances: 3, updatedAtS: 1_398_000_000.7 }),
      instances: [
        instance('b', { index: 1 }),
        instance('b2', { index: 1 }),
        instance('c', { index: 2, state: 'STARTING' }),
        instance('x', { index: 9 }),
        instance('o', { index: 1, version: 'v0' }),
        instance('o2', { index: 1, version: 'v0' }),
        instance('p', { index: 1, version: '__proto__' }),
        instance('q', { index: 1, version: 'v9', state: 'STARTING' }),
        instance('r', { index: 1, version: 'v8', lastListedMs: NOW - LOST - 1 }),
      ],
    });
    expect(recheckStart(d)).toEqual({
      reason: 'missing',
      send: {
        droplet: 'droplet-1',
        updatedAtS: 1_398_000_000.7,
        version: 'v1',
        index: 0,
        running: Object.fromEntries([
          ['v0', 2],
          ['__proto__', 1],
          ['v1', 1],
        ]),
        flapping: false,
      },
    });
  });

  it('sets `flapping` for a restart only, and returns the reason in the record, which an evacuation may have raised', () => {
    expect(recheckStart(starting({}, { reason: 'flapping', dueMs: NOW }))).toMatchObject({
      send: { flapping: true },
    });
    expect(recheckStart(starting({}, { reason: 'evacuated' }))).toMatchObject({
      reason: 'evacuated',
      send: { flapping: false },
    });
  });

  const held = { updatedMs: NOW - LOST, handledUpdateMs: NOW - LOST };
  const noPassSince = { lastPassBegunMs: NOW - LOST };

  it.each<[string, Droplet, Partial<Holds>, unknown]>([
    ['no start in the record', droplet(), {}, { drop: 'superseded' }],
    ['another start in the record', starting({}, { id: 's2' }), {}, { drop: 'superseded' }],
    [
      'sent already',
      starting({ outcomes: [{ id: 's1', outcome: 'sent', atMs: NOW }] }),
      {},
      { drop: 'done' },
    ],
    ['RUNNING meanwhile', starting({ instances: [instance('a')] }), {}, { drop: 'live' }],
    [
      'STARTING meanwhile',
      starting({ instances: [instance('a', { state: 'STARTING' })] }),
      {},
      { drop: 'live' },
    ],
    ['STOPPED meanwhile', starting({ desired: desired({ state: 'STOPPED' }) }), {}, { drop: 'not_wanted' }],
    ['not staged', starting({ desired: desired({ packageState: 'FAILED' }) }), {}, { drop: 'not_wanted' }],
    ['scaled down', starting({ desired: desired({ instances: 0 }) }), {}, { drop: 'not_wanted' }],
    ['another version', starting({ desired: desired({ version: 'v2' }) }), {}, { drop: 'not_wanted' }],
    ['gone', starting({ goneMs: NOW - SECOND }), {}, { drop: 'not_wanted' }],
    [
      'gone, a crash, under mass_delete',
      starting({ goneMs: NOW - SECOND }, { reason: 'crashed' }),
      { massDelete: true },
      { send: {} },
    ],
    [
      'gone, missing, under mass_delete',
      starting({ goneMs: NOW - SECOND }),
      { massDelete: true },
      { drop: 'not_wanted' },
    ],
    [
      'given up',
      droplet({ slots: [slot({ crashes: 5, lastCrashMs: NOW, start: start() })] }),
      {},
      { drop: 'given_up' },
    ],
    [
      'given up, but updated since',
      droplet({ slots: [slot({ crashes: 5, lastCrashMs: NOW, start: start() })], updatedMs: NOW - LOST }),
      {},
      { send: {} },
    ],
    [
      'a restart, updated since',
      starting({ updatedMs: NOW - SECOND }, { reason: 'flapping' }),
      {},
      { drop: 'updated' },
    ],
    [
      'a restart that is not due',
      starting({}, { reason: 'flapping', dueMs: NOW + 1 }),
      {},
      { wait: NOW + 1 },
    ],
    [
      'missing, an instance stopped since',
      starting({ exits: [exit('a', { reason: 'STOPPED' })] }),
      {},
      { drop: 'in_grace_period' },
    ],
    [
      'crashed, an instance stopped since',
      starting({ exits: [exit('a', { reason: 'STOPPED' })] }, { reason: 'crashed' }),
      {},
      { send: {} },
    ],
    [
      'missing under desired_unavailable',
      starting(),
      { desiredUnavailable: true },
      { drop: 'held:desired_unavailable' },
    ],
    [
      'missing under actual_not_fresh',
      starting(),
      { actualNotFresh: true },
      { drop: 'held:actual_not_fresh' },
    ],
    ['missing under update_required', starting(held), noPassSince, { drop: 'held:update_required' }],
    [
      'crashed under desired_unavailable and actual_not_fresh',
      starting({}, { reason: 'crashed' }),
      { desiredUnavailable: true, actualNotFresh: true },
      { send: {} },
    ],
    [
      'crashed under update_required waits',
      starting(held, { reason: 'crashed' }),
      noPassSince,
      { wait: NOW + SECOND },
    ],
    [
      'evacuated under update_required waits',
      starting(held, { reason: 'evacuated' }),
      noPassSince,
      { wait: NOW + SECOND },
    ],
  ])('%s', (_, d, on, expected) => {
    expect(recheckStart(d, on)).toMatchObject(expected as object);
  });

  it('holds a missing start for an instance on a late DEA', () => {
    const d = starting({ instances: [instance('a')] });
    const silent = deas({ 'dea-1': { lastHeartbeatMs: NOW - LOST - 1 } });
    expect(recheckStart(d, { massLossDeas: new Set(['dea-1']) }, JOB, silent)).toEqual({
      drop: 'held:mass_loss',
    });
    expect(recheckStart(d, { massLossDeas: new Set(['dea-2']) }, JOB, silent)).toHaveProperty('send');
    expect(recheckStart(d, { massLossEvaluated: { sinceMs: 0, untilMs: NOW - 1 } }, JOB, silent)).toEqual({
      wait: NOW + SECOND,
    });
    expect(recheckStart(d, { heartbeatWatermarkMs: NOW - 1 }, JOB, silent)).toEqual({
      drop: 'held:actual_not_fresh',
    });
  });
});

describe('the recheck of a start whose slot has an instance on a silent DEA', () => {
  const silent = deas({ 'dea-1': { lastHeartbeatMs: NOW - LOST - 1 } });
  it.each<[StartReason, Partial<Holds>, object]>([
    ['crashed', { actualNotFresh: true }, { drop: 'held:actual_not_fresh' }],
    ['evacuated', { actualNotFresh: true }, { drop: 'held:actual_not_fresh' }],
    ['flapping', { massLossDeas: new Set(['dea-1']) }, { drop: 'held:mass_loss' }],
    ['crashed', { massLossEvaluated: { sinceMs: 0, untilMs: NOW - LOST } }, { wait: NOW + SECOND }],
    ['crashed', {}, { reason: 'crashed' }],
    ['crashed', { desiredUnavailable: true }, { reason: 'crashed' }],
  ])('%s under %j', (reason, on, expected) => {
    const d = starting({ instances: [instance('other')] }, { reason });
    expect(recheckStart(d, on, JOB, silent)).toMatchObject(expected);
  });
});
