import { expect, test } from 'vitest';
import type { App } from '../../demo/controller/apps.ts';
import type { TrueInstance } from './deas.ts';
import { differences } from './recovery.ts';

const web: App = { name: 'web', command: '', instances: 2, state: 'STARTED', version: 'v', memoryMb: 64 };
const instance = (index: number, state = 'RUNNING', version = 'v') =>
  ({ guid: `i${index}`, droplet: 'web', version, index, state }) as TrueInstance;
const found = (app: App | undefined, ...instances: TrueInstance[]) =>
  differences(new Map(app ? [['web', app]] : []), ['web'], () => instances);

test('one RUNNING instance of each wanted index is no difference', () => {
  expect(found(web, instance(0), instance(1))).toEqual([]);
  expect(found({ ...web, state: 'STOPPED' })).toEqual([]);
  expect(found(undefined)).toEqual([]);
});

test.each([
  ['a missing index', [instance(0)]],
  ['an index that is STARTING', [instance(0), instance(1, 'STARTING')]],
  ['a second copy', [instance(0), instance(1), instance(1)]],
  ['an index that is not wanted', [instance(0), instance(1), instance(2)]],
  ['another version', [instance(0), instance(1), instance(1, 'RUNNING', 'old')]],
  ['an evacuated one', [instance(0), instance(1), instance(1, 'EVACUATING')]],
])('%s is a difference', (_, instances) => {
  expect(found(web, ...instances)).toHaveLength(1);
});

test('any instance of a stopped or deleted app is a difference', () => {
  expect(found({ ...web, state: 'STOPPED' }, instance(0))).toHaveLength(1);
  expect(found(undefined, instance(0))).toHaveLength(1);
});

test('old instances of an app that was scaled to none are no difference, because the controller refuses to stop them', () => {
  const none = { ...web, instances: 0 };
  expect(found(none, instance(0, 'RUNNING', 'old'))).toEqual([]);
  expect(found(none, instance(0))).toHaveLength(1);
});
