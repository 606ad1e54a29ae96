/** The image without a container engine: the Dockerfile's steps run in plain folders, and the processes from there. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { startNats, type TestNats } from '../../../common/testing/nats/server.ts';
import { freePort, startTestRedis, type TestRedis } from '../../../common/testing/redis/server.ts';
import { type Copy, readDockerfile, type Stage } from '../testing/dockerfile.ts';

const run = promisify(execFile);
const BUILD_MS = 600_000;
const ENV = { PATH: process.env.PATH, HOME: process.env.HOME };

let dir: string;
let image: Stage;
let nats: TestNats;
let redis: TestRedis;
/** The folder that stands for /app of the image. */
let app: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hm-image-'));
  [nats, redis] = await Promise.all([startNats(), startTestRedis()]);
  const stages = readDockerfile();
  for (const stage of stages) await runSteps(stage);
  image = stages.at(-1) as Stage;
  app = rootOf(image);
}, BUILD_MS);
afterAll(async () => {
  await Promise.all([nats?.stop(), redis?.stop()]);
  rmSync(dir, { recursive: true, force: true });
  // Thousands of files.
}, 120_000);

const rootOf = (stage: Pick<Stage, 'name'>) => join(dir, stage.name ?? 'final');

async function runSteps(stage: Stage): Promise<void> {
  const root = rootOf(stage);
  mkdirSync(root);
  for (const step of stage.steps) {
    if (step.kind === 'COPY') copy(step, root, stage.workdir ?? '');
    else await run('/bin/sh', ['-c', step.command], { cwd: root, env: { ...ENV, ...stage.env } });
  }
}

/** Paths that are not in the build's context. */
const IGNORED = readFileSync(join(packageRoot, '.dockerignore'), 'utf8').split('\n').filter(Boolean);

function copy({ from, sources, target }: Copy, root: string, workdir: string): void {
  for (const source of sources) {
    if (from === undefined) expect(IGNORED).not.toContain(source);
    const path =
      from === undefined ? join(packageRoot, source) : join(dir, from, source.slice(workdir.length));
    // As Docker does: a file is copied into ./, and of a folder its content.
    const intoRoot = statSync(path).isDirectory() ? root : join(root, basename(source));
    const to = target === './' ? intoRoot : join(root, target);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(path, to, { recursive: true, verbatimSymlinks: true });
  }
}

/** Starts `hm` as a container of the image does, with the configuration mounted. */
function start(args: string[], more: NodeJS.ProcessEnv = {}) {
  const [program = '', ...first] = image.entrypoint ?? [];
  const env = { ...ENV, ...image.env, PATH: ENV.PATH, CLOUD_FOUNDRY_CONFIG_PATH: dir, ...more };
  return spawn(program, [...first, ...args], { cwd: app, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

test('runs as a numeric user that is not root', () => {
  expect(Number(image.user)).toBeGreaterThan(0);
  expect(image.stopSignal).toBe('SIGTERM');
});

test('prints the help without a command', async () => {
  const child = start(image.cmd ?? []);
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  expect(output).toContain('Usage: hm');
});

test('has the production dependencies, and no file that only development needs', () => {
  expect(existsSync(join(app, 'node_modules', 'ioredis'))).toBe(true);
  for (const name of ['typescript', 'vitest'])
    expect(existsSync(join(app, 'node_modules', name))).toBe(false);
  const files = readdirSync(join(app, 'dist'), { recursive: true, encoding: 'utf8' });
  expect(files).toContain(join('deploy', 'run', 'cli', 'main.js'));
  expect(files).toContain(join('reporter', 'docs', 'docs.html'));
  expect(realpathSync(join(app, 'bin', 'hm'))).toBe(join(realpathSync(app), 'dist/deploy/run/cli/main.js'));
  expect(statSync(join(app, 'bin', 'hm')).mode & 0o111).not.toBe(0);
  expect(
    files.filter((path) => /\.test\.|\.map$|(^|\/)(testing|simulation|verify)(\/|$)/.test(path)),
  ).toEqual([]);
});

test.each(['ingest', 'sync', 'analyzer', 'nudger', 'reporter'])(
  '%s becomes ready, passes the health check, and stops on SIGTERM',
  { timeout: 90_000 },
  async (name) => {
    const port = String(await freePort());
    writeFileSync(join(dir, 'health_manager.yml'), 'status: { host: 127.0.0.1 }\n');
    const child = start([name, '--http-port', port], { MBUS_URI: nats.url, REDIS_URL: redis.url });
    const exited = once(child, 'exit');
    const check = () => {
      const [program = '', ...args] = image.healthcheck ?? [];
      return run(program, args, { cwd: app, env: { ...ENV, HM_HEALTH_PORT: port } });
    };
    for await (const text of createInterface({ input: child.stdout })) {
      const line = JSON.parse(text) as { event?: string };
      if (line.event !== 'ready') continue;
      await check();
      child.kill('SIGTERM');
    }
    expect(await exited).toEqual([0, null]);
    await expect(check()).rejects.toMatchObject({ code: 1 });
  },
);
