import { describe, expect, it } from 'vitest';
import type { Droplet, Instance, PendingStop } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  instance,
  LOST,
  NOW,
  SECOND,
  SETTINGS,
} from '../../../common/testing/builders.ts';
import { evaluate, stops } from '../simulation/evaluate.ts';
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

describe('stopped', () => {
  it('every STARTING, RUNNING or EVACUATING instance of a STOPPED app, no other', () => {
    const d = droplet({
      desired: desired({ state: 'STOPPED' }),
      instances: [
        at(0),
        at(1, { state: 'STARTING' }),
        at(2, { state: 'EVACUATING', version: 'v0' }),
        at(3, { state: 'CRASHED' }),
        at(4, { state: 'RESUMING' }),
        at(5, { lastListedMs: NOW - LOST - 1 }),
      ],
    });
    expect(stops(d).sort()).toEqual(['stopped i0', 'stopped i1', 'stopped i2']);
  });

  it('not what its DEA no longer lists', () => {
    const d = droplet({
      desired: desired({ state: 'STOPPED' }),
      instances: [at(0, { lastListedMs: NOW - SECOND }), at(1)],
    });
    expect(stops(d)).toEqual(['stopped i1']);
  });

  it('not what has exited', () => {
    const d = droplet({
      desired: desired({ state: 'STOPPED' }),
      instances: [at(0)],
      exits: [exit('i0', { reason: 'STOPPED' })],
    });
    expect(stops(d)).toEqual([]);
  });
});

describe('extra_index', () => {
  it.each<[string, Droplet, string[]]>([
    ['the one out of range', started(1, at(0), at(1)), ['extra_index i1']],
    ['by index, not by order of listing', started(1, at(1), at(0)), ['extra_index i1']],
    ['also one that is STARTING', started(1, at(0), at(1, { state: 'STARTING' })), ['extra_index i1']],
    ['waits while too few would stay RUNNING', started(2, at(0), at(5)), []],
    [
      'a wanted one that is STARTING does not count as RUNNING',
      started(1, at(0, { state: 'STARTING' }), at(1)),
      [],
    ],
    [
      'of several those that the controller accepts together',
      started(2, at(0), at(5), at(6)),
      ['extra_index i6'],
    ],
    [
      'an instance that is not RUNNING is stopped first',
      started(1, at(0), at(6), at(7, { state: 'STARTING' }), at(8)),
      ['extra_index i7', 'extra_index i8', 'extra_index i6'],
    ],
    ['all of them, with no instances wanted', started(0, at(0), at(1)), ['extra_index i1', 'extra_index i0']],
    [
      'copies at an index out of range: each of them, once',
      started(1, at(0), at(5), at(5, { guid: 'copy' })),
      ['extra_index copy', 'extra_index i5'],
    ],
    [
      'once also if the controller would accept it twice',
      started(0, at(5, { state: 'STARTING' }), at(5, { guid: 'copy', state: 'STARTING' })),
      ['extra_index copy', 'extra_index i5'],
    ],
    ['CRASHED ones are never stopped', started(1, at(0), at(1, { state: 'CRASHED' })), []],
  ])('%s', (_, d, expected) => {
    expect(stops(d)).toEqual(expected);
  });

  it('counting the pending stops', () => {
    const d = { ...started(2, at(0), at(5), at(6)), stops: new Map([['i6', stop('i6')]]) };
    expect(stops(d)).toEqual([]);
  });
});

describe('wrong_version', () => {
  const old = at(0, { guid: 'old', version: 'v0' });

  it.each<[string, Droplet, string[]]>([
    ['once the live version runs', started(2, at(0), at(1), old), ['wrong_version old']],
    ['once it has at least one RUNNING', started(2, at(0), old), ['wrong_version old']],
    ['not while it is only STARTING', started(1, at(0, { state: 'STARTING' }), old), []],
    ['not while there is none', started(1, old), []],
    ['also out of range', started(1, at(0), { ...old, index: 7 }), ['wrong_version old']],
    ['not what its DEA no longer lists', started(1, at(0), { ...old, lastListedMs: NOW - SECOND }), []],
    [
      'not while its DEA no longer lists the one that runs',
      started(1, at(0, { lastListedMs: NOW - SECOND }), old),
      [],
    ],
  ])('%s', (_, d, expected) => {
    expect(stops(d)).toEqual(expected);
  });

  it('not before its DEA has sent a heartbeat since the version became live, because the DEA may have renamed it', () => {
    const d = { ...started(2, at(0, { dea: 'dea-2' }), old), versionSinceMs: NOW - 5 * SECOND };
    const before = deas({ 'dea-1': { lastHeartbeatMs: NOW - 6 * SECOND } });
    expect(stops(d, { deas: before })).toEqual([]);
    expect(evaluate(d, { deas: before }).requeueAtMs).toBeLessThanOrEqual(NOW + 5 * SECOND);
    expect(stops(d)).toEqual(['wrong_version old']);
    const leaving = { ...d, instances: [at(0, { dea: 'dea-2' }), { ...old, state: 'EVACUATING' }] };
    expect(stops(leaving, { deas: before })).toEqual([]);
    expect(stops(leaving)).toEqual(['evacuation_complete old']);
  });

  it('not while another DEA lists it as the live version, until its own has sent a heartbeat since', () => {
    const contested = { ...old, dea: 'dea-2', contestedMs: NOW - 5 * SECOND };
    const d = started(2, at(0), contested);
    const heard = (agoS: number, isRestored?: true) =>
      deas({
        'dea-1': { lastHeartbeatMs: NOW },
        'dea-2': { lastHeartbeatMs: NOW - agoS * SECOND, ...(isRestored && { isRestored }) },
      });
    expect(stops(d, { deas: heard(5) })).toEqual([]);
    expect(evaluate(d, { deas: heard(5) }).requeueAtMs).toBeLessThanOrEqual(NOW + 5 * SECOND);
    expect(stops(d, { deas: heard(4, true) })).toEqual([]);
    expect(stops(d, { deas: heard(4) })).toEqual(['wrong_version old']);
    const app = { ...d, desired: desired({ state: 'STOPPED' }) };
    expect(stops(app, { deas: heard(5) })).toEqual(['stopped old', 'stopped i0']);
  });

  it('not while a record that was begun anew may lack what their own DEAs list', () => {
    const d = started(2, at(0), old);
    const begun = (agoMs: number) => ({ ...d, rebuiltMs: NOW - agoMs });
    expect(stops(begun(LOST - 1))).toEqual([]);
    expect(evaluate(begun(LOST - 1)).requeueAtMs).toBe(NOW + 1);
    expect(stops(begun(LOST))).toEqual(['wrong_version old']);
    const app = { ...begun(1), desired: desired({ state: 'STOPPED' }) };
    expect(stops(app)).toEqual(['stopped old', 'stopped i0']);
  });

  it('the last RUNNING one of the live version waits until the other versions are gone', () => {
    const d = started(0, at(0), old);
    expect(stops(d)).toEqual(['wrong_version old']);
    const next = applyDecision(d, evaluate(d));
    next.outcomes = new Map(
      [...next.stops.values()].map(({ id }) => [id, { id, outcome: 'sent', atMs: NOW }]),
    );
    expect(stops(next)).toEqual([]);
    expect(stops({ ...next, instances: [at(0)] })).toEqual(['extra_index i0']);
  });
});

describe('duplicate', () => {
  const copy = (guid: string, over: Partial<Instance> = {}) => instance(guid, over);

  it.each<[string, Instance[], string[]]>([
    [
      'the younger one is stopped',
      [copy('a', { stateTimestampS: 2 }), copy('b', { stateTimestampS: 1 })],
      ['duplicate a'],
    ],
    [
      'RUNNING stays before STARTING',
      [copy('a', { stateTimestampS: 2 }), copy('b', { stateTimestampS: 1, state: 'STARTING' })],
      ['duplicate b'],
    ],
    ['of the same age the smallest guid stays', [copy('b'), copy('a')], ['duplicate b']],
    [
      'one at a time',
      [copy('a'), copy('b', { stateTimestampS: 2000 }), copy('c', { stateTimestampS: 3000 })],
      ['duplicate c'],
    ],
    [
      'only STARTING ones: the controller would refuse',
      [copy('a', { state: 'STARTING' }), copy('b', { state: 'STARTING' })],
      [],
    ],
    [
      'an EVACUATING one is no copy',
      [copy('a'), copy('b', { state: 'STARTING' }), copy('e', { state: 'EVACUATING' })],
      ['evacuation_complete e', 'duplicate b'],
    ],
    ['a CRASHED one is no copy', [copy('a'), copy('b', { state: 'CRASHED' })], []],
    ['an exited one is no copy', [copy('a'), copy('gone')], []],
    [
      'an instance no longer listed may be gone: wait',
      [copy('a'), copy('b', { lastListedMs: NOW - SECOND })],
      [],
    ],
    ['an instance listed only once is not known well enough', [copy('a'), copy('b', { dea: 'new' })], []],
  ])('%s', (_, instances, expected) => {
    const d = {
      ...started(1, ...instances),
      exits: [exit('gone', { reason: 'STOPPED' })],
      handledExits: 1e9,
    };
    expect(stops(d, { deas: deas({ new: { lastHeartbeatMs: NOW } }) }).sort()).toEqual(expected.sort());
  });

  it('not before each was listed twice since the youngest was first listed: a DEA that has just died must not win', () => {
    const d = started(1, copy('old'), copy('young', { dea: 'dea-2', firstListedMs: NOW - 11 * SECOND }));
    const silentOld = deas({
      'dea-1': { lastHeartbeatMs: NOW - 15 * SECOND, previousHeartbeatMs: NOW - 25 * SECOND },
    });
    expect(stops(d, { deas: silentOld })).toEqual([]);
    expect(evaluate(d, { deas: silentOld }).requeueAtMs).toBeLessThanOrEqual(NOW + 5 * SECOND);
    const bothTwice = deas({
      'dea-1': { lastHeartbeatMs: NOW - SECOND, previousHeartbeatMs: NOW - 11 * SECOND },
    });
    expect(stops(d, { deas: bothTwice })).toEqual([]);
    const sinceYoung = { lastHeartbeatMs: NOW - SECOND, previousHeartbeatMs: NOW - 11 * SECOND };
    expect(stops(d, { deas: deas({ 'dea-1': sinceYoung, 'dea-2': sinceYoung }) })).toEqual([
      'duplicate young',
    ]);
  });

  it('none while the stop of another copy is pending', () => {
    const d = {
      ...started(1, copy('a'), copy('b'), copy('c')),
      stops: new Map([['c', stop('c', { reason: 'duplicate' })]]),
    };
    expect(stops(d)).toEqual([]);
  });

  it('not while another index is missing, because the controller counts all RUNNING instances', () => {
    expect(stops(started(2, copy('a'), copy('b')))).toEqual([]);
    expect(stops(started(2, copy('a'), copy('b'), at(1)))).toEqual(['duplicate b']);
  });

  it('the last RUNNING one is never stopped, though its stop was decided when it was not the last', () => {
    const d = { ...started(1, copy('a')), stops: new Map([['b', stop('b')]]) };
    expect(stops(d)).toEqual([]);
  });
});

describe('extra_app', () => {
  const gone = (agoMs: number) =>
    droplet({
      goneMs: NOW - agoMs,
      instances: [at(0), at(1, { state: 'STARTING' }), at(2, { state: 'EVACUATING' })],
    });
  const unknown = (agoMs: number) =>
    droplet({
      ...{ desired: undefined, firstSeenMs: NOW - agoMs, undesiredMs: NOW - agoMs },
      instances: [at(0)],
    });
  const LATE = SETTINGS.desiredStateLostMs;

  it('last listed more than desired_state_lost ago: all its instances', () => {
    expect(stops(gone(LATE + 1)).sort()).toEqual(['extra_app i0', 'extra_app i1', 'extra_app i2']);
    expect(stops(gone(LATE))).toEqual([]);
    expect(evaluate(gone(LATE - 5 * SECOND)).requeueAtMs).toBe(NOW + 5 * SECOND + 1);
  });

  it('never listed: first seen that long ago, and a pass began since', () => {
    expect(stops(unknown(LATE + 1))).toEqual(['extra_app i0']);
    expect(stops(unknown(LATE))).toEqual([]);
    const before = { lastPassBegunMs: NOW - LATE - SECOND };
    expect(stops(unknown(LATE + 1), { holds: before })).toEqual([]);
    expect(evaluate(unknown(LATE + 1), { holds: before }).requeueAtMs).toBeLessThanOrEqual(NOW + 5 * SECOND);
  });

  it('never listed: a pass that did not write every entry proves nothing, so one that does is needed', () => {
    const notFull = { lastPassBegunMs: NOW - 10 * SECOND, lastFullPassBegunMs: NOW - LATE - SECOND };
    expect(stops(unknown(LATE + 1), { holds: notFull })).toEqual([]);
    expect(evaluate(unknown(LATE + 1), { holds: notFull })).toMatchObject({ isFullPassNeeded: true });
    expect(evaluate(unknown(LATE), { holds: notFull })).toMatchObject({ isFullPassNeeded: true });
    expect(evaluate(unknown(LATE + 1))).not.toHaveProperty('isFullPassNeeded');
    const noPassSince = { lastPassBegunMs: NOW - LATE - SECOND };
    expect(evaluate(unknown(LATE), { holds: noPassSince })).not.toHaveProperty('isFullPassNeeded');
  });

  it('of a record that has lost its desired state: not before a pass that wrote every entry since that was found', () => {
    const lost = droplet({ desired: undefined, firstSeenMs: NOW - 3600 * SECOND, instances: [at(0)] });
    const { decisions, undesiredMs, changed, isFullPassNeeded } = evaluate(lost);
    expect({ decisions, undesiredMs, changed, isFullPassNeeded }).toEqual({
      ...{ decisions: [], undesiredMs: NOW, changed: true, isFullPassNeeded: true },
    });
    const found = { ...lost, undesiredMs: NOW - 60 * SECOND };
    expect(stops(found, { holds: { lastFullPassBegunMs: NOW - 61 * SECOND } })).toEqual([]);
    expect(stops(found, { holds: { lastFullPassBegunMs: NOW - 59 * SECOND } })).toEqual(['extra_app i0']);
  });

  it('a record that has its desired state again is no longer marked', () => {
    const marked = droplet({ instances: [at(0), at(1), at(2)], undesiredMs: NOW - 60 * SECOND });
    expect(evaluate(marked)).toMatchObject({ undesiredMs: undefined, changed: true });
  });

  it('an entry that is listed but cannot be read counts as listed', () => {
    expect(stops({ ...unknown(3600 * SECOND), listedMs: NOW - 10 * SECOND })).toEqual([]);
  });

  it('listed by the last complete pass, however old: a failed pass proves nothing', () => {
    expect(stops(droplet({ instances: [at(0)], listedMs: NOW - 3600 * SECOND }))).toEqual([]);
  });

  it('its missing slots are not started, nor is its crash', () => {
    const d = { ...gone(LATE + 1), instances: [], exits: [exit('x')] };
    expect(evaluate(d).decisions).toEqual([]);
  });
});
