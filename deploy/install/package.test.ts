/** The npm package, installed elsewhere with what runs only. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../common/runtime/package-root.ts';
import { createProgram } from '../run/cli/program.ts';
import { isAlive } from '../run/launcher/process-table.ts';

const run = promisify(execFile);
const ENV = { PATH: process.env.PATH, HOME: process.env.HOME };

let dir: string;
let hm: string;
let packed: string[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hm-package-'));
  const pack = ['pack', '--json', '--pack-destination', dir];
  const { stdout } = await run('npm', pack, { cwd: packageRoot, env: ENV });
  // Before the JSON stands what the set-up says that runs first, if it has something to do.
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [
    { filename: string; files: { path: string }[] },
  ];
  packed = files.map(({ path }) => path);
  const home = join(dir, 'elsewhere');
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{"private": true}');
  const install = ['install', '--omit=dev', '--prefer-offline', join(dir, filename)];
  await run('npm', install, { cwd: home, env: ENV });
  hm = join(home, 'node_modules', '.bin', 'hm');
}, 600_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs it there, with no health manager's folder around it. */
async function ends(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await run(hm, argv, { cwd: dir, env: ENV })) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

test('has no tests, no sources, and nothing that a build makes for itself', () => {
  const unwanted = packed.filter((path) => /\.test\.|\.setup-|(?<!\.d)\.tsx?$/.test(path));
  expect(unwanted).toEqual([]);
  const scripts = readdirSync(join(packageRoot, 'common', 'redis', 'scripts')).filter((name) =>
    name.endsWith('.lua'),
  );
  expect(packed).toEqual(expect.arrayContaining(scripts.map((name) => `common/redis/scripts/${name}`)));
});

test('installed without what only the build needs', () => {
  const modules = readdirSync(join(dir, 'elsewhere', 'node_modules'));
  expect(modules).toContain('ioredis');
  for (const name of ['typescript', 'vitest', '@biomejs']) expect(modules).not.toContain(name);
});

test('every command is there', { timeout: 120_000 }, async () => {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(await ends('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  for (const command of createProgram(() => async () => undefined).commands) {
    const { code, stdout } = await ends(command.name(), '--help');
    expect({ code, command: command.name() }).toEqual({ code: 0, command: command.name() });
    expect(stdout).toContain('Usage: hm');
  }
});

test('start runs all of it with servers of its own; the other commands find it; Ctrl-C ends all', {
  timeout: 180_000,
}, async () => {
  const file = join(dir, 'health_manager.yml');
  writeFileSync(file, 'status: { port: 0 }\n');
  const child = spawn(hm, ['start', '--config', file], {
    cwd: dir,
    env: ENV,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const pids: number[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as { event?: string; pid: number; process?: string };
    if (line.event === 'child_started') pids.push(line.pid);
    if (line.event !== 'ready' || line.process !== 'start') continue;
    const top = await ends('top', '--json', '--config', file);
    expect(JSON.parse(top.stdout)).toMatchObject({ fleet: { totals: { droplets: 0 } } });
    expect(await ends('dump', '--config', file)).toMatchObject({ code: 0, stdout: '' });
    expect(await ends('droplet', 'web', '--config', file)).toMatchObject({ code: 1 });
    expect(await ends('release', 'mass_loss', '--config', file)).toMatchObject({ code: 1 });
    child.kill('SIGINT');
  }
  expect(await exited).toEqual([0, null]);
  expect(pids).toHaveLength(7);
  expect(pids.filter(isAlive)).toEqual([]);
  // Nothing of ours is left of it there, and no controller was there: that is said, with exit code 1.
  const check = await ends('check', '--config', file);
  expect(check.code).toBe(1);
  expect(check.stdout).toMatch(/^ok {6}configuration: .*\nFAILED {2}NATS: /);
});
