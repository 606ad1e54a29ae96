import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { PROCESS_NAMES } from '../../run/launcher/child.ts';

const FOLDER = join(packageRoot, 'deploy', 'install', 'systemd');
const TEMPLATE = readFileSync(join(FOLDER, 'health-manager@.service'), 'utf8');
const TARGET = readFileSync(join(FOLDER, 'health-manager.target'), 'utf8');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-systemd-'));
  for (const name of readdirSync(FOLDER)) {
    if (/\.(service|target)$/.test(name)) cpSync(join(FOLDER, name), join(dir, name));
  }
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
const verify = (...names: string[]) =>
  spawnSync('systemd-analyze', ['verify', '--man=no', ...names.map((name) => join(dir, name))], {
    encoding: 'utf8',
  });

test.skipIf(!hasSystemd)('systemd-analyze verify succeeds (needs systemd-analyze)', () => {
  const { status, stderr } = verify('health-manager@.service', 'health-manager.target');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  // It would report a wrong key.
  writeFileSync(join(dir, 'wrong@.service'), TEMPLATE.replace('TimeoutStopSec', 'TimeoutStopSex'));
  expect(verify('wrong@.service').stderr).toContain('TimeoutStopSex');
});

test('each instance runs the process of its name', () => {
  writeFileSync(join(dir, 'hm'), '#!/bin/sh\necho "hm $*"\n', { mode: 0o755 });
  const [, program = '', quoted = ''] = /^ExecStart=(\S+ -c) '(.*)' %i$/m.exec(TEMPLATE) ?? [];
  expect(program).toBe('/bin/sh -c');
  // As systemd does: %% becomes %, and $$ becomes $.
  const script = quoted.replaceAll('%%', '%').replaceAll('$$', '$');
  const outputOf = (instance: string) =>
    execFileSync('/bin/sh', ['-c', script, instance], {
      env: { PATH: `${dir}:${process.env.PATH}` },
      encoding: 'utf8',
    });
  expect(outputOf('ingest:2')).toBe('hm ingest\n');
  expect(outputOf('sync')).toBe('hm sync\n');
});

test('the target starts every process, two copies of all except the reporter', () => {
  const wanted = [...TARGET.matchAll(/health-manager@(\w+):(\d)\.service/g)].map(([, name, copy]) => [
    name,
    copy,
  ]);
  for (const name of PROCESS_NAMES) {
    const copies = wanted.filter(([of]) => of === name).map(([, copy]) => copy);
    expect(copies, name).toEqual(name === 'reporter' ? ['1'] : ['1', '2']);
  }
  expect(new Set(wanted.map(([name]) => name))).toEqual(new Set(PROCESS_NAMES));
});

test('exit codes that a restart does not fix prevent it', () => {
  expect(TEMPLATE).toMatch(/^RestartPreventExitStatus=64 78$/m);
});
