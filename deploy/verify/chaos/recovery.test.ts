import { expect, test } from 'vitest';
import type { App } from '../../demo/controller/apps.ts';
import type { TrueInstance } from './hosts.ts';
import { differences } from './recovery.ts';

const web: App = { name: 'web', command: '', instances: 2, state: 'STARTED', version: 'v', memoryMb: 64 };
const of = (index: number, state = 'RUNNING', version = 'v') =>
  ({ guid: `i${index}`, droplet: 'web', version, index, state }) as TrueInstance;
const found = (app: App | undefined, ...instances: TrueInstance[]) =>
  differences(new Map(app ? [['web', app]] : []), ['web'], () => instances);

test('one RUNNING instance of each wanted index is whole', () => {
  expect(found(web, of(0), of(1))).toEqual([]);
  expect(found({ ...web, state: 'STOPPED' })).toEqual([]);
  expect(found(undefined)).toEqual([]);
});

test.each([
  ['a missing index', [of(0)]],
  ['an index that only starts', [of(0), of(1, 'STARTING')]],
  ['a second copy', [of(0), of(1), of(1)]],
  ['an index that is not wanted', [of(0), of(1), of(2)]],
  ['another version', [of(0), of(1), of(1, 'RUNNING', 'old')]],
  ['an evacuated one', [of(0), of(1), of(1, 'EVACUATING')]],
])('%s is not', (_, instances) => {
  expect(found(web, ...instances)).toHaveLength(1);
});

test('anything of a stopped or deleted app is not', () => {
  expect(found({ ...web, state: 'STOPPED' }, of(0))).toHaveLength(1);
  expect(found(undefined, of(0))).toHaveLength(1);
});
