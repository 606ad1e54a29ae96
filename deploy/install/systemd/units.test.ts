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

test('each instance runs the process of its name, with an HTTP port of its own', () => {
  const show =
    '#!/bin/sh\necho "hm $* ($(env | grep -c ^HM_HTTP_PORT) in the environment) $HEARTBEAT_API_PORT"\n';
  writeFileSync(join(dir, 'hm'), show, { mode: 0o755 });
  const [, program = '', quoted = ''] = /^ExecStart=(\S+ -c) '([^']*)' %i$/m.exec(TEMPLATE) ?? [];
  expect(program).toBe('/bin/sh -c');
  // As systemd does: %% becomes %, $$ becomes $, and the lines are joined.
  const script = quoted
    .replaceAll('%%', '%')
    .replaceAll('$$', () => '$')
    .replaceAll('\\\n', ' ');
  const outputOf = (instance: string, env: NodeJS.ProcessEnv = {}) =>
    execFileSync('/bin/sh', ['-c', script, instance], {
      env: { PATH: `${dir}:${process.env.PATH}`, ...env },
      encoding: 'utf8',
    }).trim();
  expect(outputOf('ingest:1')).toBe('hm ingest --http-port 18411 (0 in the environment)');
  // Copies of ingest on one host share no port for heartbeats over HTTPS. The first has that of the configuration.
  expect(outputOf('ingest:2')).toBe('hm ingest --http-port 18412 (0 in the environment) 5336');
  expect(outputOf('ingest:9')).toBe('hm ingest --http-port 18419 (0 in the environment) 5343');
  expect(outputOf('ingest:2', { HEARTBEAT_API_PORT: '7' })).toMatch(/ 7$/);
  expect(outputOf('sync')).toBe('hm sync (0 in the environment)');
  expect(outputOf('reporter:1')).toBe('hm reporter (0 in the environment)');
  expect(outputOf('nudger:1', { HM_HTTP_PORT: '8080' })).toBe(
    'hm nudger --http-port 8080 (0 in the environment)',
  );
  const ports = instances().map(([name, copy]) => outputOf(`${name}:${copy}`).split(' ')[3]);
  expect(new Set(ports).size).toBe(ports.length);
});

const instances = () =>
  [...TARGET.matchAll(/health-manager@(\w+):(\d)\.service/g)].map(([, name = '', copy = '']) => [name, copy]);

test('the target starts two copies of every process', () => {
  expect(instances().sort()).toEqual(
    PROCESS_NAMES.flatMap((name) => [
      [name, '1'],
      [name, '2'],
    ]).sort(),
  );
});

test('a unit that fails again and again is started again', () => {
  expect(TEMPLATE).toMatch(/^Restart=always$/m);
  expect(TEMPLATE).toMatch(/^StartLimitIntervalSec=0$/m);
});

test('exit codes that a restart does not fix prevent it', () => {
  expect(TEMPLATE).toMatch(/^RestartPreventExitStatus=64 78$/m);
});
