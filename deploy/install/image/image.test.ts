/** The image without a container engine: its steps carried out in plain folders, its processes started from there. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { startNats, type TestNats } from '../../../common/testing/nats.ts';
import { freePort, startTestRedis, type TestRedis } from '../../../common/testing/redis.ts';
import { type Copy, readDockerfile, type Stage } from '../testing/dockerfile.ts';

const run = promisify(execFile);
const BUILD_MS = 600_000;
const ENV = { PATH: process.env.PATH, HOME: process.env.HOME };

let dir: string;
let image: Stage;
let nats: TestNats;
let redis: TestRedis;
/** Where the image's /app is. */
let app: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hm-image-'));
  [nats, redis] = await Promise.all([startNats(), startTestRedis()]);
  const stages = readDockerfile();
  for (const stage of stages) await carryOut(stage);
  image = stages.at(-1) as Stage;
  app = rootOf(image);
}, BUILD_MS);
afterAll(async () => {
  await Promise.all([nats?.stop(), redis?.stop()]);
  rmSync(dir, { recursive: true, force: true });
  // Thousands of files.
}, 120_000);

const rootOf = (stage: Pick<Stage, 'name'>) => join(dir, stage.name ?? 'final');

async function carryOut(stage: Stage): Promise<void> {
  const root = rootOf(stage);
  mkdirSync(root);
  for (const step of stage.steps) {
    if (step.kind === 'COPY') copy(step, root, stage.workdir ?? '');
    else await run('/bin/sh', ['-c', step.command], { cwd: root, env: { ...ENV, ...stage.env } });
  }
}

/** What the build's context leaves out. */
const IGNORED = readFileSync(join(packageRoot, '.dockerignore'), 'utf8').split('\n').filter(Boolean);

function copy({ from, sources, target }: Copy, root: string, workdir: string): void {
  for (const source of sources) {
    if (from === undefined) expect(IGNORED).not.toContain(source);
    const path =
      from === undefined ? join(packageRoot, source) : join(dir, from, source.slice(workdir.length));
    const to = target === './' ? join(root, source.split('/').at(-1) ?? '') : join(root, target);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(path, to, { recursive: true });
  }
}

/** As a container of the image runs it, with its configuration mounted. */
function start(args: string[], more: NodeJS.ProcessEnv = {}) {
  const [program = '', ...first] = image.entrypoint ?? [];
  const env = { ...ENV, ...image.env, CLOUD_FOUNDRY_CONFIG_PATH: dir, ...more };
  return spawn(program, [...first, ...args], { cwd: app, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

test('runs as a user who is not root, whose number tells so', () => {
  expect(Number(image.user)).toBeGreaterThan(0);
  expect(image.stopSignal).toBe('SIGTERM');
});

test('without a command it says what there is', async () => {
  const child = start(image.cmd ?? []);
  let said = '';
  child.stdout.on('data', (data: Buffer) => {
    said += data.toString();
  });
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  expect(said).toContain('Usage: hm');
});

test('has what runs, and nothing that only the build or the tests need', () => {
  expect(existsSync(join(app, 'node_modules', 'ioredis'))).toBe(true);
  for (const path of ['node_modules/typescript', 'node_modules/vitest', 'dist/common/redis/clock.test.js']) {
    expect(existsSync(join(app, path)), path).toBe(false);
  }
});

test.each(['ingest', 'sync', 'analyzer', 'nudger', 'reporter'])(
  '%s serves, the health check finds it well, and it stops when told to',
  { timeout: 90_000 },
  async (name) => {
    const port = String(await freePort());
    writeFileSync(join(dir, 'health_manager.yml'), 'status: { host: 127.0.0.1 }\n');
    const child = start([name, '--http-port', port], { MBUS_URI: nats.url, REDIS_URL: redis.url });
    const exited = once(child, 'exit');
    const check = () => {
      const [program = '', ...args] = image.healthcheck ?? [];
      return run(program, args, { cwd: app, env: { ...ENV, ...image.env, HM_HEALTH_PORT: port } });
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
