import { describe, expect, test } from 'vitest';
import type { App } from '../controller/apps.ts';
import type { InstanceView } from '../protocol.ts';
import type { DeaView } from './cloud.ts';
import { differences } from './fleet.ts';

const app = (changes: Partial<App> = {}): App => ({
  ...{ name: 'web', command: 'x', instances: 2, state: 'STARTED', version: 'v2', memoryMb: 64 },
  ...changes,
});
const on = (...instances: Partial<InstanceView>[]): DeaView[] => [
  {
    name: 'dea-1',
    state: 'up',
    instances: instances.map((given, at) => ({
      ...{ guid: `guid ${at}`, droplet: 'web', version: 'v2', index: at, state: 'RUNNING', pid: 1 },
      ...given,
    })),
  },
];

describe('no differences', () => {
  test.each<[string, App, DeaView[]]>([
    ['with one running instance at each index', app(), on({}, {})],
    ['with an additional crashed instance', app(), on({}, {}, { state: 'CRASHED', index: 0 })],
    ['with no instance of a stopped app', app({ state: 'STOPPED' }), on()],
  ])('%s', (_, wanted, deas) => {
    expect(differences([wanted], deas)).toEqual([]);
  });
});

describe('differences', () => {
  test.each<[string, App[], DeaView[], string[]]>([
    ['with a missing instance', [app()], on({ index: 1 }), ['web/0 is missing']],
    ['with an instance that is STARTING', [app()], on({}, { state: 'STARTING' }), ['web/1 is missing']],
    ['with two instances at one index', [app()], on({}, {}, { index: 1 }), ['web/1 runs 2 times']],
    ['with an index out of range', [app()], on({}, {}, {}), ['web/2 of v2 is still RUNNING']],
    [
      'with an old version',
      [app()],
      on({}, {}, { version: 'v1', index: 0 }),
      ['web/0 of v1 is still RUNNING'],
    ],
    [
      'with an instance that is STOPPING',
      [app()],
      on({}, {}, { state: 'STOPPING' }),
      ['web/2 of v2 is still STOPPING'],
    ],
    ['with a stopped app', [app({ state: 'STOPPED' })], on({}), ['web/0 of v2 is still RUNNING']],
    ['with an unknown app', [], on({}), ['web/0 of v2 is still RUNNING']],
  ])('%s', (_, apps, deas, expected) => {
    expect(differences(apps, deas)).toEqual(expected);
  });
});
