import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../common/runtime/package-root.ts';
import { hmProgram } from './run/hm-program.ts';
import { PROCESS_NAMES } from './run/launcher/child.ts';
import { isAlive } from './run/launcher/process-table.ts';

const HM = join(packageRoot, 'deploy', 'hm');
const ENV = { PATH: process.env.PATH, HOME: process.env.HOME };

/** Events that must not occur. (The missing controller is logged, too, and is no problem.) */
const PROBLEMS = new Set([
  'child_ended',
  'child_given_up',
  'uncaught_error',
  'start_failed',
  'stop_forced',
  'stop_timed_out',
  'stop_failed',
]);

let dir: string;
beforeAll(() => {
  execFileSync(join(packageRoot, 'deploy', 'setup.sh'), { stdio: 'pipe' });
}, 120_000);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-hm-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function run(command: string, args: string[], options: { env?: NodeJS.ProcessEnv; cwd?: string } = {}) {
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(command, args, { env: ENV, cwd: dir, ...options }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

function config(lines: string[] = []): string {
  const file = join(dir, 'health_manager.yml');
  writeFileSync(file, ['status: { port: 0 }', ...lines].join('\n'));
  return file;
}

test('hm works from any directory and through symbolic links', async () => {
  mkdirSync(join(dir, 'bin'));
  symlinkSync(HM, join(dir, 'hm'));
  symlinkSync('../hm', join(dir, 'bin', 'hm'));
  const { code, stdout, stderr } = await run(join(dir, 'bin', 'hm'), ['--version']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('exit codes reach the caller', async () => {
  expect(await run(HM, ['nonsense'])).toMatchObject({ code: 64, stdout: '' });
  expect(await run(HM, ['start'])).toMatchObject({
    code: 78,
    stderr: `${dir}/health_manager.yml: no such file\n`,
  });
});

test('a single process without a configured Redis: exit code 78', { timeout: 60_000 }, async () => {
  const file = config();
  const ended = await Promise.all(PROCESS_NAMES.map((name) => run(HM, [name, '--config', file])));
  expect(ended.map(({ code }) => code)).toEqual(PROCESS_NAMES.map(() => 78));
  for (const { stderr } of ended) {
    expect(stderr).toMatch(/^\S*health_manager.yml: redis: expected redis.url, /);
  }
});

test('a missing program: exit code 69, with the program in the message', async () => {
  const main = hmProgram;
  const { code, stderr } = await run(process.execPath, [main, 'start', '--config', config()], {
    env: { PATH: dir },
  });
  expect(code).toBe(69);
  expect(stderr).toMatch(/^hm: redis-server: /);
});

test.each([
  ['', 5],
  ['in one Node process (--one-process) ', 1],
] as const)(
  'all five processes %sstart with private servers, become ready, and stop on Ctrl-C',
  {
    timeout: 60_000,
  },
  async (mode, children) => {
    const file = config(['pid: hm.pid', 'intervals: { droplets_analysis: 1 }']);
    const firstPort = 20_000 + (process.pid % 10_000);
    const args = ['start', '--config', file, '--http-port', String(firstPort)];
    const child = spawn(HM, mode === '' ? args : [...args, '--one-process'], {
      cwd: dir,
      env: { ...ENV, HM_HTTP_PORT: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const pidFile = join(dir, 'hm.pid');
    let pidOf: string | undefined;
    const pids: number[] = [];
    const problems: unknown[] = [];
    for await (const text of createInterface({ input: child.stdout })) {
      const line = JSON.parse(text) as { event?: string; pid: number; process?: string };
      if (line.event === 'child_started') pids.push(line.pid);
      if (PROBLEMS.has(line.event ?? '')) problems.push(line);
      // The private servers' logins are in no line.
      expect(text.replaceAll('***@', '')).not.toMatch(/:\/\/[^/" ]*@/);
      if (line.event === 'ready' && line.process === 'start') {
        pidOf = readFileSync(pidFile, 'utf8');
        for (const [n, name] of ['ingest', 'sync', 'analyzer', 'nudger'].entries()) {
          const reply = await fetch(`http://127.0.0.1:${firstPort + n}/metrics`);
          expect(await reply.text()).toContain(`process_start_time_seconds{process="${name}"}`);
        }
        child.kill('SIGINT');
      }
    }
    expect(await exited).toEqual([0, null]);
    expect(problems).toEqual([]);
    expect(pids.length).toBe(2 + children);
    expect(pids.filter(isAlive)).toEqual([]);
    // The pid file has the launcher's pid, not that of a process: a signal must go to the launcher.
    expect(pidOf).toBe(`${child.pid}\n`);
    expect(existsSync(pidFile)).toBe(false);
    expect(existsSync(join(dir, '.hm', 'redis'))).toBe(true);
  },
);

test('a set-up with nothing to do is silent and takes less than a second', async () => {
  const took: number[] = [];
  for (let n = 0; n < 3; n++) {
    const beganMs = performance.now();
    const result = await run(join(packageRoot, 'deploy', 'setup.sh'), ['--servers']);
    took.push(performance.now() - beganMs);
    expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
  }
  // The best of three: the other tests run on the same cores.
  expect(Math.min(...took)).toBeLessThan(1000);
});

test('the set-up rejects unknown options and an old Node.js', async () => {
  const setup = join(packageRoot, 'deploy', 'setup.sh');
  expect(await run(setup, ['--nonsense'])).toMatchObject({
    code: 64,
    stderr: 'usage: deploy/setup.sh [--servers] [--browser]\n',
  });

  for (const version of ['v20.17.0', 'v18.20.1']) {
    writeFileSync(join(dir, 'node'), `#!/bin/sh\necho ${version}\n`, { mode: 0o755 });
    const old = await run(setup, [], { env: { ...ENV, PATH: `${dir}:${ENV.PATH}` } });
    expect(old.code).toBe(69);
    expect(old.stderr).toBe(`setup: Node.js 20.18 or newer is needed; ${dir}/node is ${version}.\n`);
  }
});

test('a set-up that cannot install the servers lists the alternatives', async () => {
  // A PATH with only the programs that the set-up itself uses: neither redis-server nor apt-get.
  for (const name of ['bash', 'dirname', 'node', 'npm', 'find', 'cmp', 'id', 'mkdir', 'sleep', 'rmdir']) {
    symlinkSync(
      execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(),
      join(dir, name),
    );
  }
  const result = await run('/bin/bash', [join(packageRoot, 'deploy', 'setup.sh'), '--servers'], {
    env: { PATH: dir },
  });
  expect(result.code).toBe(69);
  expect(result.stderr).toMatch(/^setup: not on the PATH: redis-server/m);
  for (const way of ['apt-get install', 'brew install redis nats-server', 'redis.url', 'mbus']) {
    expect(result.stderr).toContain(way);
  }
});
