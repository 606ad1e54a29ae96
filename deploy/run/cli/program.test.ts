import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PROCESS_NAMES } from '../launcher/child.ts';
import { createProgram, main } from './program.ts';

let dir: string;
let stdout = '';
let stderr = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-cli-'));
  stdout = '';
  stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

test.each([
  [['nonsense'], "unknown command 'nonsense'"],
  [[], 'Usage: hm'],
  [['start', '--nonsense'], "unknown option '--nonsense'"],
  [['start', 'now'], 'too many arguments'],
  [['start', '--config'], 'argument missing'],
  [['ingest', '--http-port', 'x'], 'Expected a port, 1 to 65535'],
  [['ingest', '--http-port', '0'], 'Expected a port, 1 to 65535'],
  [['ingest', '--http-port', '65536'], 'Expected a port, 1 to 65535'],
  [['check', '--http-port', '80'], "unknown option '--http-port'"],
])('wrong usage %j: exit code 64', async (argv, message) => {
  expect(await main(argv)).toBe(64);
  expect(stderr).toContain(message);
  expect(stdout).toBe('');
});

test.each([
  ...PROCESS_NAMES.map((name) => [name]),
  ['start'],
  ['demo'],
  ['check'],
  ['droplet', 'app'],
  ['explain', 'app'],
  ['dump'],
  ['release', 'mass_loss'],
])('wrong usage of any command: exit code 64: %s', async (...argv) => {
  expect(await main([...argv, '--nonsense'])).toBe(64);
  expect(stderr).toContain('--nonsense');
  expect(stdout).toBe('');
});

test('help and version have exit code 0', async () => {
  expect(await main(['--version'])).toBe(0);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  stdout = '';
  expect(await main(['--help'])).toBe(0);
  for (const command of ['start', 'ingest', 'sync', 'analyzer', 'nudger', 'reporter', 'demo', 'check']) {
    expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
  }
  stdout = '';
  expect(await main(['help', 'ingest'])).toBe(0);
  expect(stdout).toContain('--http-port');
  expect(stderr).toBe('');
});

test('the help of every command has examples and the exit codes', async () => {
  for (const command of createProgram(() => async () => undefined).commands) {
    const name = command.name();
    // The demo prints its own help.
    if (name === 'demo') continue;
    stdout = '';
    expect(await main([name, '--help'])).toBe(0);
    expect(stdout, name).toMatch(/^Examples:\n {2}.*\bhm /m);
    expect(stdout, name).toMatch(/^Exit codes: 0 done, 1 .* 64 .*\n.* 69 .* 78 /m);
  }
});

test('a wrong configuration: exit code 78 and only its error lines', async () => {
  const file = join(dir, 'health_manager.yml');
  writeFileSync(file, 'intervals:\n  droplet_lost: soon\n  droplet_gc: -1\n');
  const commands = [
    ['start'],
    ['check'],
    ['droplet', 'a'],
    ['explain', 'a'],
    ['dump'],
    ['release', 'mass_loss'],
  ];
  for (const argv of commands) {
    stderr = '';
    expect([argv, await main([...argv, '--config', file])]).toEqual([argv, 78]);
    expect(stderr.split('\n')).toEqual([
      'health_manager.yml: intervals.droplet_lost: expected a number of seconds > 0, got "soon"',
      'health_manager.yml: intervals.droplet_gc: expected a number of seconds > 0, got -1',
      '',
    ]);
  }
  expect(await main(['start', '--config', join(dir, 'none.yml')])).toBe(78);
  expect(stderr).toContain(join(dir, 'none.yml'));
});
