import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, test } from 'vitest';
import type { CloudEvent, DeaView } from '../cloud/cloud.ts';
import type { App } from '../controller/apps.ts';
import type { InstanceView } from '../protocol.ts';
import { fakeBus } from '../testing/bus.ts';
import { type Referee, watchFairness } from './referee.ts';

const web: App = { name: 'web', command: 'x', instances: 2, state: 'STARTED', version: 'v2', memoryMb: 64 };
/** Pids: one of a running process, one of none. */
const ALIVE = process.pid;
const DEAD = 2 ** 30;

let dea: DeaView;
let events: EventEmitter<{ event: [CloudEvent] }>;
let bus: ReturnType<typeof fakeBus>;
let referee: Referee;
beforeEach(() => {
  dea = { name: 'dea-1', state: 'up', pid: 1, instances: [] };
  events = new EventEmitter();
  bus = fakeBus();
  referee = watchFairness({ deas: () => [dea], apps: () => [web], events }, bus);
});

const instance = (guid: string, changes: Partial<InstanceView> = {}): InstanceView => ({
  ...{ guid, droplet: 'web', version: 'v2', index: 0, state: 'RUNNING', pid: ALIVE },
  ...changes,
});
function report(...instances: InstanceView[]): void {
  const before = dea.instances;
  dea.instances = instances;
  events.emit('event', { type: 'instances', dea, before });
}
const start = (changes: object = {}) =>
  bus.publish('health.start', {
    ...{ droplet: 'web', last_updated: 1, version: 'v2', indices: [0], running: {}, flapping: false },
    ...changes,
  });
const stop = (app: App | undefined, ...instances: string[]) =>
  events.emit('event', { type: 'stop', droplet: 'web', instances, ...(app && { app }) });
const violations = () => referee.finish().violations.map((violation) => violation.replace(/^\S+ /, ''));

describe('starts', () => {
  test.each<[string, InstanceView[], number]>([
    ['of an empty slot', [], 0],
    ['of a slot whose instance runs', [instance('a')], 1],
    ['of a slot whose instance starts', [instance('a', { state: 'STARTING' })], 1],
    ['of a slot whose instance has died', [instance('a', { pid: DEAD })], 0],
    ['of a slot whose instance evacuates', [instance('a', { state: 'EVACUATING' })], 0],
    ['beside another index', [instance('a', { index: 1 })], 0],
    ['beside an old version', [instance('a', { version: 'v1' })], 0],
  ])('%s', (_, instances, count) => {
    dea.instances = instances;
    start();
    const { starts, violations: seen } = referee.finish();
    expect(starts).toBe(1);
    expect(seen).toHaveLength(count);
  });
});

describe('stops', () => {
  test.each<[string, App | undefined, InstanceView[], number]>([
    ['of a wanted instance', web, [instance('a')], 1],
    ['of a wanted instance that is STARTING', web, [instance('a', { state: 'STARTING' })], 1],
    [
      'of a wanted instance whose DEA reported the stop first',
      web,
      [instance('a', { state: 'STOPPING' })],
      1,
    ],
    ['of one of two duplicates', web, [instance('a'), instance('b')], 0],
    ['of one instance beside a dead duplicate', web, [instance('a'), instance('b', { pid: DEAD })], 1],
    ['of an index out of range', web, [instance('a', { index: 2 })], 0],
    ['of an instance that evacuates', web, [instance('a', { state: 'EVACUATING' })], 0],
    ['of a stopped app', { ...web, state: 'STOPPED' }, [instance('a')], 0],
    ['of an unknown app', undefined, [instance('a')], 0],
    ['of an old version after the new one runs', web, [instance('a', { version: 'v1' }), instance('b')], 0],
    ['of an old version before the new one runs', web, [instance('a', { version: 'v1' })], 1],
  ])('%s', (_, app, instances, count) => {
    dea.instances = instances;
    stop(app, 'a');
    expect(violations()).toHaveLength(count);
  });
});

describe('ends', () => {
  test('without a stop are violations', () => {
    report(instance('a'));
    report();
    expect(violations()).toEqual([`web/0 of v2, pid ${ALIVE}, ended without an accepted stop`]);
  });

  test('after a stop are allowed, even if the stop is reported later', () => {
    report(instance('a', { index: 5 }));
    report();
    stop(web, 'a');
    expect(violations()).toEqual([]);
  });

  test('of killed instances, killed DEAs and crashing apps are allowed', () => {
    referee.mayEnd(DEAD);
    report(instance('a', { pid: DEAD }));
    report();
    referee.mayCrash('crasher');
    report(instance('b', { droplet: 'crasher' }));
    report(instance('c', { droplet: 'crasher', state: 'CRASHED' }));
    report(instance('d'));
    referee.mayEnd(1);
    dea.state = 'gone';
    report();
    expect(violations()).toEqual([]);
  });

  test('with a DEA that dies on its own are violations', () => {
    report(instance('a'));
    dea.state = 'gone';
    report();
    expect(violations()).toHaveLength(1);
  });
});

test('refused and malformed requests are violations', () => {
  const start = { type: 'start', droplet: 'web', version: 'v2', index: 0, flapping: false } as const;
  events.emit('event', start);
  events.emit('event', { ...start, refused: 'index out of range' });
  events.emit('event', { type: 'stop', droplet: 'web', instances: ['a'], refused: 'too few' });
  events.emit('event', { type: 'malformed', subject: 'health.stop', why: 'no JSON' });
  expect(violations()).toEqual([
    'the controller refused a start of web/0: index out of range',
    'the controller refused a stop of web: too few',
    'the controller cannot read a health.stop: no JSON',
  ]);
});

test('events after finish are ignored', () => {
  report(instance('a'));
  expect(referee.finish().violations).toEqual([]);
  start();
  report();
  expect(referee.finish()).toEqual({ violations: [], starts: 0, stops: 0 });
});
