import { describe, expect, test } from 'vitest';
import { defaultSettings } from '../../../common/config/settings.ts';
import type { Droplet, Slot } from '../../../common/model/droplet.ts';
import { decodeDroplet } from '../../../common/redis/records/record-codec.ts';
import type { DecisionResult } from '../../decide/decide.ts';
import { observedEntries } from './observations.ts';

const { policy } = defaultSettings();
const NOW = 1_700_000_000_000;

type Hash = Record<string, string>;
const read = (hash: Hash): Droplet =>
  decodeDroplet('app', Object.entries({ rev: '1', seen: '1', ...hash }).flat()) as Droplet;
const slots = (...all: Slot[]) => new Map(all.map((slot) => [slot.index, slot]));
const slot = (index: number, more: Partial<Slot> = {}): Slot => ({
  index,
  version: 'v',
  crashes: 0,
  flapping: false,
  ...more,
});
/** The observed entries of a droplet that had these slots before, and has those in `decided`. */
function entriesOf(hash: Hash, decided: Partial<DecisionResult>, before: Slot[] = []) {
  const droplet = { ...read(hash), slots: slots(...before) };
  const unchanged: DecisionResult = {
    decisions: [],
    slots: droplet.slots,
    stops: droplet.stops,
    handledExits: droplet.handledExits,
    handledUpdateMs: droplet.handledUpdateMs,
    undesiredMs: droplet.undesiredMs,
    outcomesToForget: [],
    retriesToForget: [],
    instancesToForget: [],
    exitsToForget: [],
    verifyJobs: [],
    remove: false,
    changed: true,
  };
  const deas = new Map([['dea-1', { lastHeartbeatMs: NOW - 1000 }]]);
  const moment = { deas, nowMs: NOW, lostBeforeMs: NOW - policy.dropletLostMs };
  return observedEntries({ droplet, decided: { ...unchanged, ...decided }, ...moment }, policy);
}
const instance = (index: number, agoMs: number, state = 'RUNNING', version = 'v') =>
  `${index} ${state} on dea-1 version ${version} since 1 first ${NOW - agoMs}`;
const start = (decidedAgoMs: number): Partial<Slot> => ({
  start: { id: 's', reason: 'missing', priority: 'normal', decidedMs: NOW - decidedAgoMs },
});

test('an unchanged droplet yields none', () => {
  const hash = { 'instance:a': instance(0, 9000), updated: '5', handled_update: '5', handled: '1' };
  expect(entriesOf({ ...hash, 'exit:b': '1 CRASHED version v at 3 crashed 1 n 1' }, {}, [slot(0)])).toEqual(
    [],
  );
});

test('an update has an entry once it is processed', () => {
  const hash = { updated: '7', handled_update: '5' };
  expect(entriesOf(hash, {})).toEqual([]);
  expect(entriesOf(hash, { handledUpdateMs: 7 })).toEqual([{ atMs: 7, droplet: 'app', kind: 'updated' }]);
});

describe('exits', () => {
  const hash = {
    handled: '1',
    'instance:c': instance(2, 9000),
    'exit:d': '3 STOPPED version v at 40 crashed - n 4',
    'exit:c': '2 CRASHED version v at 30 crashed 1 n 3',
    'exit:b': '2 CRASHED version v at 20 crashed 1 n 2',
    'exit:a': '2 CRASHED version v at 10 crashed 1 n 1',
  };
  const of = (instance: string, atMs: number, more: object = {}) => ({
    ...{ atMs, droplet: 'app', kind: 'exit', exit: 'CRASHED', index: 2, version: 'v', instance },
    ...more,
  });
  const counted = slots(slot(2, { crashes: 3, lastCrashMs: 30 }));

  test('have entries when they are processed, in their order, the last crash with the count', () => {
    expect(entriesOf(hash, { handledExits: 3, slots: counted })).toEqual([
      of('b', 20),
      of('c', 30, { dea: 'dea-1', crashes: 3 }),
    ]);
    expect(entriesOf(hash, { handledExits: 4, slots: counted })[2]).toEqual(
      of('d', 40, { exit: 'STOPPED', index: 3 }),
    );
  });

  test('a crash of another version has no count', () => {
    const other = slots(slot(2, { crashes: 3, lastCrashMs: 30, version: 'w' }));
    expect(entriesOf(hash, { handledExits: 3, slots: other })[1]).toEqual(of('c', 30, { dea: 'dea-1' }));
  });
});

describe('a slot that has a live instance again', () => {
  const up = (more: object = {}) => ({
    ...{ atMs: NOW - 2000, droplet: 'app', kind: 'up', index: 0, version: 'v' },
    ...{ instance: 'a', dea: 'dea-1', state: 'RUNNING' },
    ...more,
  });
  const satisfied = { slots: slots(slot(0)) };

  test.each<[string, Partial<Slot>]>([
    ['with a pending start', start(5000)],
    ['that was flapping', { flapping: true, crashes: 2, lastCrashMs: NOW - 5000 }],
    ['that was held', { held: 'mass_loss' }],
  ])('%s', (_, before) => {
    expect(entriesOf({ 'instance:a': instance(0, 2000) }, satisfied, [slot(0, before)])).toMatchObject([
      { kind: 'up', index: 0, instance: 'a', dea: 'dea-1', state: 'RUNNING' },
    ]);
  });

  test('has an entry at the time the instance was first listed, also if the slot is removed', () => {
    const hash = { 'instance:a': instance(0, 2000) };
    expect(entriesOf(hash, { slots: slots() }, [slot(0, start(5000))])).toEqual([up()]);
  });

  test('an instance older than the start is back: its entry is of now', () => {
    const hash = { 'instance:a': instance(0, 90_000) };
    expect(entriesOf(hash, satisfied, [slot(0, start(5000))])).toEqual([up({ atMs: NOW, again: true })]);
  });

  test('no entry while it still needs one, or has no live instance', () => {
    const [before] = [slot(0, start(5000))];
    expect(entriesOf({ 'instance:a': instance(0, 2000) }, { slots: slots(before) }, [before])).toEqual([]);
    for (const hash of [
      {},
      { 'instance:a': instance(0, 2000, 'CRASHED') },
      { 'instance:a': instance(1, 2000) },
      { 'instance:a': instance(0, 2000, 'RUNNING', 'w') },
      { 'instance:a': `${instance(0, 90_000)} last ${NOW - 60_000}` },
      { 'instance:a': instance(0, 2000), 'exit:a': `0 STOPPED version v at ${NOW - 500} crashed - n 1` },
    ]) {
      expect(entriesOf(hash, satisfied, [before])).toEqual([]);
    }
  });

  test('of several RUNNING before STARTING, then the youngest', () => {
    const hash = {
      'instance:x': instance(0, 3000),
      'instance:a': instance(0, 2000),
      'instance:y': instance(0, 1000, 'STARTING'),
    };
    expect(entriesOf(hash, satisfied, [slot(0, start(5000))])).toEqual([up()]);
  });
});
