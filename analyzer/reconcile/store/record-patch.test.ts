import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultSettings } from '../../../common/config/settings.ts';
import type { Droplet, Outcome, PendingStop, Slot } from '../../../common/model/droplet.ts';
import { decodeDroplet } from '../../../common/redis/records/record-codec.ts';
import type { Decision, DecisionResult } from '../../decide/decide.ts';
import { recordPatch } from './record-patch.ts';

const { policy } = defaultSettings();
const NOW = 1_700_000_000_000;

type Hash = Record<string, string>;
const read = (hash: Hash): Droplet => decodeDroplet('app', Object.entries(hash).flat()) as Droplet;
/** The result of `decide` without a change: the same maps, the same objects. */
const unchanged = (droplet: Droplet): DecisionResult => ({
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
});
const patch = (droplet: Droplet, decided: Partial<DecisionResult>) =>
  recordPatch(
    {
      droplet,
      decided: { ...unchanged(droplet), ...decided },
      deas: new Map(),
      nowMs: NOW,
      lostBeforeMs: NOW - policy.dropletLostMs,
    },
    policy,
  );

const slot = (index: number, crashes = 0): Slot => ({ index, version: 'v', crashes, flapping: false });
const stop = (instance: string, id = `stop-${instance}`): PendingStop => ({
  instance,
  id,
  reason: 'duplicate',
  decidedMs: 1,
});

const BASE: Hash = {
  rev: '1',
  seen: '1',
  exits: '2',
  handled: '1',
  handled_update: '10',
  'instance:i1': '0 RUNNING on dea version v since 1 first 2',
  'exit:i0': '0 STOPPED version v at 1 crashed - n 1',
  'slot:0': JSON.stringify(slot(0)),
  'slot:1': JSON.stringify(slot(1)),
  'stop:a': JSON.stringify(stop('a')),
  'outcome:stop-a': JSON.stringify({ id: 'stop-a', outcome: 'sent', atMs: 5 } satisfies Outcome),
};

describe('a record patch', () => {
  test('is empty if nothing changed', () => {
    const droplet = read(BASE);
    expect(patch(droplet, { changed: false, handledExits: 7 })).toEqual({ set: [], remove: [], log: [] });
    expect(patch(droplet, {})).toEqual({ set: [], remove: [], log: [] });
  });

  test('has only the fields that differ', () => {
    const droplet = read(BASE);
    const next = slot(1, 3);
    const another = stop('b');
    expect(
      patch(droplet, {
        handledUpdateMs: 11,
        slots: new Map([[1, next]]),
        stops: new Map([['b', another]]),
        outcomesToForget: ['stop-a'],
        instancesToForget: ['i1'],
        exitsToForget: ['i0'],
      }),
    ).toMatchObject({
      set: [
        ['handled_update', 11],
        ['slot:1', JSON.stringify(next)],
        ['stop:b', JSON.stringify(another)],
      ],
      remove: ['slot:0', 'stop:a', 'outcome:stop-a', 'instance:i1', 'exit:i0'],
    });
  });

  test('once stored, makes the record as it was decided', () => {
    const index = fc.nat(4);
    const guid = fc.constantFrom('a', 'b', '__proto__', 'a b', 'c:d');
    const slots = fc
      .array(fc.tuple(index, fc.nat(5)))
      .map((all) => new Map(all.map(([at, crashes]) => [at, slot(at, crashes)])));
    const stops = fc
      .array(fc.tuple(guid, fc.string()))
      .map((all) => new Map(all.map(([instance, id]) => [instance, stop(instance, id)])));
    fc.assert(
      fc.property(slots, stops, slots, stops, fc.nat(9), (slots0, stops0, slots1, stops1, handledExits) => {
        const hash: Hash = { rev: '1', seen: '1' };
        for (const [at, one] of slots0) hash[`slot:${at}`] = JSON.stringify(one);
        for (const [instance, one] of stops0) hash[`stop:${instance}`] = JSON.stringify(one);
        const { set, remove } = patch(read(hash), { slots: slots1, stops: stops1, handledExits });
        for (const [field, value] of set) hash[field] = String(value);
        for (const field of remove) delete hash[field];
        const after = read(hash);
        expect(after.slots).toEqual(slots1);
        expect(after.stops).toEqual(stops1);
        expect(after.handledExits).toBe(handledExits);
      }),
    );
  });
});

describe('the log entry of a decision', () => {
  const logOf = (decision: Decision, slots: Slot[] = []) =>
    patch(read(BASE), { decisions: [decision], slots: new Map(slots.map((one) => [one.index, one])) }).log;

  test.each<[Decision, object]>([
    [
      {
        kind: 'start',
        id: 'd',
        index: 0,
        version: 'v',
        reason: 'crashed',
        priority: 'low',
        queuePriority: 9,
      },
      { kind: 'start', index: 0, version: 'v', reason: 'crashed', priority: 'low', crashes: 2 },
    ],
    [
      {
        kind: 'start',
        id: 'd',
        index: 0,
        version: 'v',
        reason: 'flapping',
        priority: 'low',
        queuePriority: 9,
        dueMs: NOW + 5,
      },
      { kind: 'start', reason: 'flapping', dueMs: NOW + 5, crashes: 2 },
    ],
    [
      { kind: 'stop', id: 'd', instance: 'i1', index: 0, version: 'v', reason: 'duplicate' },
      { kind: 'stop', instance: 'i1', index: 0, version: 'v', reason: 'duplicate' },
    ],
    [
      {
        kind: 'raise',
        id: 'd',
        index: 0,
        version: 'v',
        reason: 'evacuated',
        priority: 'high',
        queuePriority: 1,
      },
      { kind: 'raise', index: 0, reason: 'evacuated', priority: 'high' },
    ],
    [
      { kind: 'cancel', what: 'start', id: 'd', index: 0, version: 'v', reason: 'missing', why: 'live' },
      { kind: 'cancel', what: 'start', index: 0, reason: 'missing', why: 'live' },
    ],
    [
      { kind: 'cancel', what: 'stop', id: 'd', instance: 'i1', reason: 'duplicate', why: 'gone' },
      { kind: 'cancel', what: 'stop', instance: 'i1', reason: 'duplicate', why: 'gone' },
    ],
    [
      { kind: 'held', what: 'start', id: 'd', index: 0, version: 'v', reason: 'missing', hold: 'mass_loss' },
      { kind: 'held', what: 'start', index: 0, reason: 'missing', hold: 'mass_loss' },
    ],
    [
      { kind: 'giveup', id: 'd', index: 0, version: 'v', crashes: 5 },
      { kind: 'giveup', index: 0, version: 'v', crashes: 5 },
    ],
  ])('%j', (decision, entry) => {
    expect(logOf(decision, [slot(0, 2)])).toEqual([
      expect.objectContaining({ atMs: NOW, droplet: 'app', id: 'd', ...entry }),
    ]);
  });

  test('has no internals of the queue', () => {
    const [entry] = logOf({
      kind: 'start',
      id: 'd',
      index: 0,
      version: 'v',
      reason: 'missing',
      priority: 'normal',
      queuePriority: 9,
    });
    expect(entry).not.toHaveProperty('queuePriority');
  });

  test('exits have entries if they were processed', () => {
    const droplet = read({ ...BASE, 'exit:i2': '1 CRASHED version v at 77 crashed 5 n 2' });
    expect(patch(droplet, { handledExits: 2 }).log).toMatchObject([
      { kind: 'exit', exit: 'CRASHED', atMs: 77, index: 1, instance: 'i2' },
    ]);
  });
});

const MISSING: Decision = {
  kind: 'start',
  id: 'app.start-0.4',
  index: 0,
  version: 'v',
  reason: 'missing',
  priority: 'normal',
  queuePriority: 1001,
};

test('a missing start names the instance that ran last, not one still listed as CRASHED', () => {
  const droplet = read({
    rev: '3',
    seen: '1',
    desired: 'STARTED 1x STAGED version v 64M updated 1',
    'instance:ran': '0 RUNNING on dea-1 version v since 1 first 5 last 20',
    'instance:crashed': '0 CRASHED on dea-2 version v since 1 first 4',
  });
  const deas = new Map([['dea-2', { lastHeartbeatMs: 99 }]]);
  const { log } = recordPatch(
    {
      droplet,
      decided: { ...unchanged(droplet), decisions: [MISSING] },
      deas,
      nowMs: NOW,
      lostBeforeMs: NOW - policy.dropletLostMs,
    },
    policy,
  );
  expect(log).toContainEqual(expect.objectContaining({ kind: 'start', dea: 'dea-1', state: 'RUNNING' }));
});

test.each([
  ['ended after it was silent', 30, false],
  ['ended before its last heartbeat', 10, true],
])('a missing start and an instance of whose slot another one %s', (_, atMs, isNamed) => {
  const droplet = read({
    rev: '3',
    seen: '1',
    exits: '1',
    desired: 'STARTED 1x STAGED version v 64M updated 1',
    'instance:lost': '0 RUNNING on dea-1 version v since 1 first 5 last 20',
    'exit:other': `0 STOPPED version v at ${atMs} crashed - n 1`,
  });
  const entry = patch(droplet, { decisions: [MISSING], handledExits: 1 }).log.find(
    ({ kind }) => kind === 'start',
  );
  expect(entry).toBeDefined();
  expect(entry?.dea).toBe(isNamed ? 'dea-1' : undefined);
});
