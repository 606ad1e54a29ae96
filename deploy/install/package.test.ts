/** The npm package: its content, and its commands where it is installed without development dependencies. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
  // Another user runs the installed program.
  chmodSync(dir, 0o755);
  await run(join(packageRoot, 'deploy', 'install', 'pack.sh'), [dir], { env: ENV });
  const [filename = ''] = readdirSync(dir);
  const { stdout } = await run('tar', ['-tzf', join(dir, filename)], { maxBuffer: 1 << 24 });
  packed = stdout
    .split('\n')
    .map((path) => path.replace('package/', ''))
    .filter((path) => path !== '' && !path.startsWith('node_modules/'));
  const home = join(dir, 'elsewhere');
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{"private": true}');
  const install = ['install', '--offline', '--ignore-scripts', join(dir, filename)];
  await run('npm', install, { cwd: home, env: ENV });
  hm = join(home, 'node_modules', '.bin', 'hm');
}, 600_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The dependencies of the installed package. */
const MODULES = () => join(dir, 'elsewhere', 'node_modules', 'health-manager', 'node_modules');

/** Runs the installed `hm` in a folder outside of this project. */
async function runHm(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await run(hm, argv, { cwd: dir, env: ENV })) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

/** Files that only development needs: sources, source maps, tests and their helpers, the code of builds and checks. */
const FORBIDDEN = [
  /(?<!\.d)\.tsx?$/,
  /\.map$/,
  /\.test\./,
  /\.setup-/,
  /vitest/,
  /(^|\/)testing(\/|\.)/,
  /(^|\/)simulation\//,
  /(^|\/)(scenarios|failover|chaos|fuzz|bench|runner|verify)\//,
  /^dist\/deploy\/(docs|install|monitor)\//,
  /^dist\/deploy\/build-/,
];

test('has no file that only development needs', () => {
  expect(packed.filter((path) => FORBIDDEN.some((pattern) => pattern.test(path)))).toEqual([]);
  const scripts = readdirSync(join(packageRoot, 'common', 'redis', 'scripts'), {
    recursive: true,
    encoding: 'utf8',
  }).filter((name) => name.endsWith('.lua'));
  expect(scripts).not.toEqual([]);
  expect(packed).toEqual(expect.arrayContaining(scripts.map((name) => `common/redis/scripts/${name}`)));
});

/** `import ... from 'x'`, `export ... from 'x'`, `import 'x'` and `import('x')`. */
const IMPORTS = [
  /^(?:import|export)\b[^;=(]*?\bfrom\s*['"]([^'"]+)['"]/gm,
  /^import\s*['"]([^'"]+)['"]/gm,
  /\bimport\(\s*['"]([^'"]+)['"]/gm,
];

test('its code imports only its own files, its dependencies and modules of Node', () => {
  const { dependencies } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const files = new Set(packed);
  const isAllowed = (from: string, specifier: string) => {
    if (specifier.startsWith('.')) return files.has(join(dirname(from), specifier));
    const [scope = '', name = ''] = specifier.split('/');
    return (
      specifier.startsWith('node:') || (scope.startsWith('@') ? `${scope}/${name}` : scope) in dependencies
    );
  };
  const code = packed.filter((path) => path.endsWith('.js') && !path.includes('/public/'));
  const imports = code.flatMap((path) => {
    const text = readFileSync(join(packageRoot, path), 'utf8');
    const specifiers = IMPORTS.flatMap((pattern) =>
      [...text.matchAll(pattern)].map(([, found = '']) => found),
    );
    return specifiers.map((specifier) => ({ path, specifier }));
  });
  expect(imports.length).toBeGreaterThan(code.length);
  expect(imports.filter(({ path, specifier }) => !isAllowed(path, specifier))).toEqual([]);
});

test('has the files that its documents name', () => {
  expect(packed).toEqual(
    expect.arrayContaining([
      'deploy/install/systemd/health-manager@.service',
      'deploy/install/kubernetes/kustomization.yaml',
      'deploy/install/compose.yml',
      'deploy/monitor/prometheus/alerts.yml',
      'deploy/monitor/grafana/dashboards/health-manager.json',
      'deploy/docs/releasing.md',
      ...['docs.html', 'openapi.json', 'asyncapi.json'].map((name) => `dist/reporter/docs/${name}`),
    ]),
  );
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  for (const [, picture] of readme.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)) expect(packed).toContain(picture);
});

test('has the dependencies that were tested, in the versions of the lock file', () => {
  const { packages } = JSON.parse(readFileSync(join(packageRoot, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; dev?: true; optional?: true }>;
  };
  const tested = Object.entries(packages).filter(
    ([path, { dev, optional }]) => path !== '' && !dev && !optional,
  );
  expect(tested.length).toBeGreaterThan(100);
  for (const [path, { version }] of tested) {
    const manifest = readFileSync(join(MODULES(), '..', path, 'package.json'), 'utf8');
    expect([path, (JSON.parse(manifest) as { version: string }).version]).toEqual([path, version]);
  }
});

test.skipIf(process.getuid?.() !== 0)(
  'another user than that of the installation can use it (needs root)',
  async () => {
    const nobody = { uid: 65_534, gid: 65_534, cwd: '/', env: { PATH: process.env.PATH } };
    expect((await run(hm, ['--version'], nobody)).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const file = join(dir, 'not-writable', 'health_manager.yml');
    mkdirSync(dirname(file));
    writeFileSync(file, '');
    await expect(run(hm, ['start', '--config', file], nobody)).rejects.toMatchObject({
      code: 69,
      stderr: expect.stringMatching(
        /^hm: .*\.hm: expected a folder that this user can write, found EACCES: .*\n$/,
      ),
    });
  },
);

test('is installed without development dependencies', () => {
  const modules = readdirSync(MODULES());
  expect(modules).toContain('ioredis');
  for (const name of ['typescript', 'vitest', 'fast-check', '@biomejs']) expect(modules).not.toContain(name);
});

test('every command prints its help', { timeout: 120_000 }, async () => {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(await runHm('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  for (const command of createProgram(() => async () => undefined).commands) {
    const { code, stdout } = await runHm(command.name(), '--help');
    expect({ code, command: command.name() }).toEqual({ code: 0, command: command.name() });
    expect(stdout).toContain('Usage: hm');
  }
});

test('start runs all processes with private servers, the other commands find them, and Ctrl-C ends all', {
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
    const top = await runHm('top', '--json', '--config', file);
    expect(JSON.parse(top.stdout)).toMatchObject({ fleet: { totals: { droplets: 0 } } });
    expect(await runHm('dump', '--config', file)).toMatchObject({ code: 0, stdout: '' });
    expect(await runHm('droplet', 'web', '--config', file)).toMatchObject({ code: 1 });
    expect(await runHm('release', 'mass_loss', '--config', file)).toMatchObject({ code: 1 });
    child.kill('SIGINT');
  }
  expect(await exited).toEqual([0, null]);
  expect(pids).toHaveLength(7);
  expect(pids.filter(isAlive)).toEqual([]);
  // Its servers have ended: the next start runs them again.
  const check = await runHm('check', '--config', file);
  expect(check.code).toBe(0);
  expect(check.stdout).toMatch(/^ok {6}configuration: .*\nskipped NATS: /m);
});
