import { describe, expect, test } from 'vitest';
import {
  parseStart,
  parseStop,
  refuseStart,
  refuseStop,
  type StartRequest,
  type StopRequest,
} from './admission.ts';
import type { App } from './apps.ts';

const web: App = { name: 'web', command: 'x', instances: 3, state: 'STARTED', version: 'v2', memoryMb: 64 };
const stoppedWeb: App = { ...web, state: 'STOPPED' };

const start = (changes: Partial<StartRequest> = {}): StartRequest => ({
  ...{
    droplet: 'web',
    last_updated: 1398000000,
    version: 'v2',
    indices: [2],
    running: { v2: 2 },
    flapping: false,
  },
  ...changes,
});
const stop = (changes: Partial<StopRequest> = {}): StopRequest => ({
  ...{ droplet: 'web', last_updated: 1398000000, instances: { a: 'v2' }, running: { v2: 4 }, version: 'v2' },
  ...changes,
});

describe('a start', () => {
  test.each<[string, App | undefined, StartRequest, string | undefined]>([
    ['of a missing index', web, start(), undefined],
    ['of the first of all', web, start({ indices: [0], running: {} }), undefined],
    ['beside instances of an old version', web, start({ running: { v1: 3 } }), undefined],
    ['of an unknown app', undefined, start(), 'no such app'],
    ['of a stopped app', stoppedWeb, start(), 'the app is not started'],
    ['of an old version', web, start({ version: 'v1' }), 'not the current version'],
    ['of an index out of range', web, start({ indices: [3] }), 'index out of range'],
    ['where enough instances run', web, start({ running: { v2: 3 } }), 'enough instances are running'],
  ])('%s', (_, app, request, why) => {
    expect(refuseStart(app, request)).toBe(why);
  });
});

describe('a stop', () => {
  const tooFew = 'too few instances of the current version would be left';
  const noneNew = 'no instance of the current version is running';
  test.each<[string, App | undefined, StopRequest, string | undefined]>([
    ['of a surplus instance', web, stop(), undefined],
    ['that would leave too few', web, stop({ running: { v2: 3 } }), tooFew],
    ['of two instances where one is surplus', web, stop({ instances: { a: 'v2', b: 'v2' } }), tooFew],
    ['with an empty list of running instances', web, stop({ running: {} }), tooFew],
    [
      'of an old version beside the new one',
      web,
      stop({ instances: { a: 'v1' }, running: { v1: 1, v2: 1 } }),
      undefined,
    ],
    [
      'of an old version before the new one',
      web,
      stop({ instances: { a: 'v1' }, running: { v1: 1 } }),
      noneNew,
    ],
    ['of all of a stopped app', stoppedWeb, stop({ running: { v2: 1 } }), undefined],
    [
      'of a stopped app, with an old version',
      stoppedWeb,
      stop({ instances: { a: 'v1' }, running: { v1: 1 } }),
      'not the current version',
    ],
    [
      'of an unknown app',
      undefined,
      stop({ running: { v2: 1 }, version: null, last_updated: null }),
      undefined,
    ],
  ])('%s', (_, app, request, why) => {
    expect(refuseStop(app, request)).toBe(why);
  });
});

describe('malformed requests', () => {
  test('requests of the contract are accepted', () => {
    expect(parseStart(JSON.stringify(start()))).toEqual(start());
    expect(parseStop(JSON.stringify(stop()))).toEqual(stop());
  });

  test.each([
    ['text that is no JSON', '{'],
    ['two indices', JSON.stringify(start({ indices: [0, 1] }))],
    ['without an index', JSON.stringify(start({ indices: [] }))],
    ['a running version with 0 instances', JSON.stringify(start({ running: { v2: 0 } }))],
    ['a version that is null', JSON.stringify({ ...start(), version: null })],
  ])('start: %s is rejected', (_, text) => {
    expect(() => parseStart(text)).toThrow();
  });

  test('stop: an empty list of instances is rejected', () => {
    expect(() => parseStop(JSON.stringify(stop({ instances: {} })))).toThrow('instances');
  });
});
