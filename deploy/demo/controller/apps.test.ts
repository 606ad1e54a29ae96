import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../testing/bus.ts';
import { type App, AppsFileError, changedApps, parseApps, watchApps } from './apps.ts';

describe('parseApps', () => {
  test('an app needs only a name and a command', () => {
    expect(parseApps('apps: [{name: web, command: sleep 1}]')).toEqual([
      { name: 'web', command: 'sleep 1', instances: 1, state: 'STARTED', version: '1', memoryMb: 64 },
    ]);
  });

  test('a version may be a number', () => {
    expect(parseApps('apps: [{name: web, command: x, version: 2}]')[0]?.version).toBe('2');
  });

  test('an empty list of apps is valid', () => {
    expect(parseApps('apps: []')).toEqual([]);
  });

  test.each([
    ['an empty file', '', 'the file: must be object'],
    ['text that is no YAML', 'apps: [', 'end with a ] at line 1'],
    ['an unknown state', 'apps: [{name: a, command: x, state: RUNNING}]', 'apps.0.state'],
    [
      'a fraction of an instance',
      'apps: [{name: a, command: x, instances: 1.5}]',
      'apps.0.instances: must be integer',
    ],
    ['a negative number of instances', 'apps: [{name: a, command: x, instances: -1}]', 'apps.0.instances'],
    ['a name that cannot be part of a subject', 'apps: [{name: "a b", command: x}]', 'apps.0.name'],
    ['a misspelt key', 'apps: [{name: a, command: x, instance: 2}]', 'apps.0.instance: unknown key'],
    ['an app without a command', 'apps: [{name: a}]', 'command'],
    [
      'a name used twice',
      'apps: [{name: a, command: x}, {name: a, command: y}]',
      'two apps have the name "a"',
    ],
  ])('%s is refused', (_, text, reason) => {
    expect(() => parseApps(text)).toThrow(AppsFileError);
    expect(() => parseApps(text)).toThrow(reason);
  });

  test("the demo's own file has 5 apps with 12 instances", () => {
    const apps = parseApps(readFileSync(join(import.meta.dirname, '..', 'apps.yml'), 'utf8'));
    expect(apps).toHaveLength(5);
    expect(apps.reduce((sum, app) => sum + app.instances, 0)).toBe(12);
  });
});

test('changedApps returns new, changed and deleted apps', () => {
  const app = (name: string, instances = 1): App => ({
    ...{ name, instances, command: 'x', state: 'STARTED', version: '1', memoryMb: 1 },
  });
  const before = [app('same'), app('scaled'), app('deleted')];
  const after = [app('new'), app('scaled', 2), app('same')];
  expect(changedApps(before, after).sort()).toEqual(['deleted', 'new', 'scaled']);
});

describe('watchApps', () => {
  let dir: string;
  let file: string;
  let received: string[];
  let end: () => void;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'hm-apps-'));
    file = join(dir, 'apps.yml');
    writeFileSync(file, 'apps: [{name: first, command: x}]');
    received = [];
    end = watchApps({
      file,
      onApps: (apps) => received.push(apps.map(({ name }) => name).join()),
      onProblem: (problem) => received.push(`problem: ${problem}`),
    });
  });
  afterEach(() => {
    end();
    rmSync(dir, { recursive: true });
  });
  const next = (count: number) =>
    eventually(`${count} changes`, () => received.length === count && received.at(-1));

  test('a file that is overwritten and a file that is replaced are read again', async () => {
    writeFileSync(file, 'apps: [{name: second, command: x}]');
    expect(await next(1)).toBe('second');
    writeFileSync(`${file}.new`, 'apps: [{name: third, command: x}]');
    renameSync(`${file}.new`, file);
    expect(await next(2)).toBe('third');
  });

  test('an invalid file is reported once, and the next valid one is read', async () => {
    writeFileSync(file, 'apps: [');
    expect(await next(1)).toContain('problem:');
    rmSync(file);
    expect(await next(2)).toContain('ENOENT');
    writeFileSync(file, 'apps: []');
    await next(3);
    expect(received[2]).toBe('');
  });
});
