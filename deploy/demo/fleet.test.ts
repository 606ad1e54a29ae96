import { describe, expect, test } from 'vitest';
import type { AgentView } from './cloud.ts';
import type { App } from './controller/apps.ts';
import { differences, isAlive } from './fleet.ts';
import type { InstanceView } from './protocol.ts';

const app = (changes: Partial<App> = {}): App => ({
  ...{ name: 'web', command: 'x', instances: 2, state: 'STARTED', version: 'v2', memoryMb: 64 },
  ...changes,
});
const on = (...instances: Partial<InstanceView>[]): AgentView[] => [
  {
    name: 'dea-1',
    state: 'up',
    instances: instances.map((given, at) => ({
      ...{ guid: `guid ${at}`, droplet: 'web', version: 'v2', index: at, state: 'RUNNING', pid: 1 },
      ...given,
    })),
  },
];

describe('the cloud is as it should be', () => {
  test.each<[string, App, AgentView[]]>([
    ['with one running at each index', app(), on({}, {})],
    ['with a crashed one beside', app(), on({}, {}, { state: 'CRASHED', index: 0 })],
    ['with nothing of a stopped app', app({ state: 'STOPPED' }), on()],
  ])('%s', (_, wanted, agents) => {
    expect(differences([wanted], agents)).toEqual([]);
  });
});

describe('the cloud is not as it should be', () => {
  test.each<[string, App[], AgentView[], string[]]>([
    ['without one', [app()], on({ index: 1 }), ['web/0 is missing']],
    ['with one that only starts', [app()], on({}, { state: 'STARTING' }), ['web/1 is missing']],
    ['with two at one index', [app()], on({}, {}, { index: 1 }), ['web/1 runs 2 times']],
    ['with an index too many', [app()], on({}, {}, {}), ['web/2 of v2 is still RUNNING']],
    [
      'with an old version',
      [app()],
      on({}, {}, { version: 'v1', index: 0 }),
      ['web/0 of v1 is still RUNNING'],
    ],
    [
      'with one that is being stopped',
      [app()],
      on({}, {}, { state: 'STOPPING' }),
      ['web/2 of v2 is still STOPPING'],
    ],
    ['with a stopped app', [app({ state: 'STOPPED' })], on({}), ['web/0 of v2 is still RUNNING']],
    ['with an unknown app', [], on({}), ['web/0 of v2 is still RUNNING']],
  ])('%s', (_, apps, agents, expected) => {
    expect(differences(apps, agents)).toEqual(expected);
  });
});

test('a process is alive or not', () => {
  expect(isAlive(process.pid)).toBe(true);
  expect(isAlive(undefined)).toBe(false);
  expect(isAlive(2 ** 30)).toBe(false);
});
