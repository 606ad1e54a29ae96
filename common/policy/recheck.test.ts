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

describe('the recheck of a stop', () => {
  const stop = (guid: string, over = {}) => ({
    instance: guid,
    id: `t-${guid}`,
    reason: 'extra_index' as const,
    decidedMs: NOW,
    ...over,
  });
  const job = { id: 't-b', instance: 'b' };
  const a = instance('a');
  const b = instance('b', { index: 1 });

  function recheckStop(d: Droplet, on: Partial<Holds> = {}) {
    const checked = new Recheck(d, deas(), holds(on), NOW, SETTINGS).checkStop(job);
    if (!('send' in checked)) return checked;
    const { running, instances, ...send } = checked.send;
    return { ...checked, send: { ...send, running: Object.fromEntries(running), instances: [...instances] } };
  }

  it('sends it with the count of RUNNING instances and of the stopped one, whatever its state', () => {
    const running = (state: string) =>
      recheckStop(
        droplet({
          instances: [
            a,
            { ...b, state },
            instance('o', { version: 'v0' }),
            instance('p', { version: 'v0', state: 'STARTING' }),
          ],
          stops: [stop('b')],
        }),
      );
    const message = {
      droplet: 'droplet-1',
      updatedAtS: 1_398_000_000,
      instances: [['b', 'v1']],
      index: b.index,
      running: { v1: 2, v0: 1 },
      version: 'v1',
    };
    expect(running('RUNNING')).toEqual({ reason: 'extra_index', send: message });
    expect(running('STARTING')).toEqual({ reason: 'extra_index', send: message });
  });

  it('names an instance of a STOPPED app with the live version, because a controller refuses any other version', () => {
    const d = droplet({
      desired: desired({ state: 'STOPPED', version: 'v2' }),
      instances: [b, instance('o')],
      stops: [stop('b')],
    });
    expect(recheckStop(d)).toMatchObject({
      reason: 'stopped',
      send: { instances: [['b', 'v2']], running: { v2: 1, v1: 1 }, version: 'v2' },
    });
  });

  it('sends neither a version nor a time when the droplet is not desired', () => {
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: [b], stops: [stop('b')] });
    expect(recheckStop(d)).toEqual({
      reason: 'extra_app',
      send: {
        droplet: 'droplet-1',
        updatedAtS: undefined,
        instances: [['b', 'v1']],
        index: b.index,
        running: { v1: 1 },
        version: undefined,
      },
    });
  });

  const surplus = (over: Parameters<typeof droplet>[0] = {}) =>
    droplet({ instances: [a, b], stops: [stop('b')], ...over });

  it.each<[string, Droplet, Partial<Holds>, unknown]>([
    ['no stop in the record', surplus({ stops: [] }), {}, { drop: 'superseded' }],
    [
      'another stop in the record',
      surplus({ stops: [stop('b', { id: 'other' })] }),
      {},
      { drop: 'superseded' },
    ],
    ['only held', surplus({ stops: [stop('b', { held: 'mass_delete' })] }), {}, { drop: 'superseded' }],
    [
      'sent already',
      surplus({ outcomes: [{ id: 't-b', outcome: 'sent', atMs: NOW }] }),
      {},
      { drop: 'done' },
    ],
    ['gone', surplus({ instances: [a] }), {}, { drop: 'gone' }],
    ['exited', surplus({ exits: [exit('b')] }), {}, { drop: 'gone' }],
    ['CRASHED', surplus({ instances: [a, { ...b, state: 'CRASHED' }] }), {}, { drop: 'gone' }],
    [
      'no longer on the list of its DEA',
      surplus({ instances: [a, { ...b, lastListedMs: NOW - SECOND }] }),
      {},
      { drop: 'gone' },
    ],
    [
      'the one that would stay is no longer on the list of its DEA',
      surplus({ instances: [{ ...a, lastListedMs: NOW - SECOND }, b] }),
      {},
      { drop: 'refused' },
    ],
    ['wanted meanwhile', surplus({ desired: desired({ instances: 2 }) }), {}, { drop: 'not_surplus' }],
    ['too few would stay', surplus({ instances: [{ ...a, state: 'STARTING' }, b] }), {}, { drop: 'refused' }],
    [
      'too few would stay with the other pending stops',
      surplus({ desired: desired({ instances: 1 }), stops: [stop('b'), stop('a')] }),
      {},
      { drop: 'refused' },
    ],
    [
      'another version is being stopped, for which one of the live version must stay',
      droplet({
        desired: desired({ instances: 0 }),
        instances: [b, instance('old', { version: 'v0' })],
        stops: [stop('b'), stop('old', { reason: 'wrong_version' })],
      }),
      {},
      { drop: 'refused' },
    ],
    [
      'a live version that does not run any more',
      surplus({ instances: [{ ...b, version: 'v0' }] }),
      {},
      { drop: 'refused' },
    ],
    [
      'surplus for another reason meanwhile',
      surplus({ desired: desired({ state: 'STOPPED' }) }),
      {},
      { reason: 'stopped' },
    ],
    ['held', surplus(), { desiredUnavailable: true }, { drop: 'held:desired_unavailable' }],
    [
      'held by another hold',
      surplus({ goneMs: NOW - 3600 * SECOND }),
      { massDelete: true },
      { drop: 'held:mass_delete' },
    ],
    ['not held', surplus(), { actualNotFresh: true, massDelete: true }, { send: {} }],
  ])('%s', (_, d, on, expected) => {
    expect(recheckStop(d, on)).toMatchObject(expected as object);
  });
});
