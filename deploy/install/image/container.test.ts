/**
 * The image, built and run by a container engine: with a root that cannot be written, without capabilities.
 *
 * It needs Docker or podman, and the base image of the Dockerfile on this machine: nothing is downloaded but the npm packages.
 * HM_TEST_NODE_IMAGE names another base image, HM_TEST_ENGINE the engine with its options (`podman --runtime runc`), and
 * HM_TEST_ENGINE_OPTIONS options of its `build` and `run` (`--ulimit nofile=1000:1000`).
 */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { startNats, type TestNats } from '../../../common/testing/nats/server.ts';
import { freePort, startTestRedis, type TestRedis } from '../../../common/testing/redis/server.ts';
import { PROCESS_NAMES, type ProcessName } from '../../run/launcher/child.ts';
import { readDockerfile } from '../testing/dockerfile.ts';

const BASE = process.env.HM_TEST_NODE_IMAGE ?? readDockerfile()[0]?.base ?? '';
const IMAGE = 'localhost/health-manager:test';
const OPTIONS = (process.env.HM_TEST_ENGINE_OPTIONS ?? '').split(' ').filter(Boolean);
const BUILD_MS = 600_000;

const split = (command: string) => command.split(' ');
/** The engine that has the base image. */
const engine = (process.env.HM_TEST_ENGINE ? [process.env.HM_TEST_ENGINE] : ['docker', 'podman'])
  .map(split)
  .find(([program = '', ...first]) => spawnSync(program, [...first, 'image', 'inspect', BASE]).status === 0);

function run(...args: string[]): SpawnSyncReturns<string> {
  const [program = '', ...first] = engine ?? [];
  return spawnSync(program, [...first, ...args], { encoding: 'utf8', cwd: packageRoot });
}

let dir: string;
let nats: TestNats;
let redis: TestRedis;
beforeAll(async () => {
  if (engine === undefined) return;
  dir = mkdtempSync(join(tmpdir(), 'hm-container-'));
  // The image's user reads it.
  chmodSync(dir, 0o755);
  writeFileSync(join(dir, 'health_manager.yml'), 'status: { host: 127.0.0.1, port: 0 }\n');
  [nats, redis] = await Promise.all([startNats(), startTestRedis()]);
  if (process.env.HM_TEST_IMAGE_IS_BUILT) return;
  const file = join('deploy', 'install', 'image', 'Dockerfile');
  const options = ['--network', 'host', ...OPTIONS, '--build-arg', `NODE=${BASE}`];
  const { status, stdout, stderr } = run('build', ...options, '-f', file, '-t', IMAGE, '.');
  expect(status, `${stdout}${stderr}`).toBe(0);
}, BUILD_MS);
afterAll(async () => {
  if (engine === undefined) return;
  await Promise.all([nats.stop(), redis.stop()]);
  // Only a test that has failed leaves its container.
  for (const name of PROCESS_NAMES) run('rm', '--force', containerOf(name));
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

const containerOf = (name: ProcessName) => `hm-test-${name}-${process.pid}`;

const HARDENED = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];

/** `podman run` as compose.yml and the Deployments do. */
function runArgs(...args: string[]): string[] {
  const mount = `${dir}/health_manager.yml:/config/health_manager.yml:ro`;
  const env = ['-e', `MBUS_URI=${nats.url}`, '-e', `REDIS_URL=${redis.url}`];
  return ['run', '--rm', '--network', 'host', ...OPTIONS, ...HARDENED, '-v', mount, ...env, ...args];
}

test.skipIf(engine === undefined).each(PROCESS_NAMES)(
  '%s in a container becomes ready, passes the health check, and stops in time (needs a container engine and its base image)',
  { timeout: 120_000 },
  async (name) => {
    const port = String(await freePort());
    const container = containerOf(name);
    const [program = '', ...first] = engine ?? [];
    const args = runArgs(
      '--name',
      container,
      '-e',
      `HM_HEALTH_PORT=${port}`,
      IMAGE,
      name,
      '--http-port',
      port,
    );
    const child = spawn(program, [...first, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    for await (const text of createInterface({ input: child.stdout })) {
      if (!text.includes('"event":"ready"')) continue;
      const check = readDockerfile().at(-1)?.healthcheck ?? [];
      expect(run('exec', container, ...check)).toMatchObject({ status: 0, stderr: '' });
      expect(run('exec', container, 'hm', '--version').stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
      const beganMs = performance.now();
      run('stop', '--time', '12', container);
      // After 12 s it would be killed.
      expect(performance.now() - beganMs).toBeLessThan(11_000);
    }
    expect(await ended).toBe(0);
  },
);

test.skipIf(engine === undefined)(
  'start without a folder to write ends with 69 and a clear line (needs a container engine and its base image)',
  () => {
    const { status, stderr } = run(
      'run',
      '--rm',
      ...OPTIONS,
      ...HARDENED,
      '-v',
      `${dir}:/config:ro`,
      IMAGE,
      'start',
    );
    expect({ status, stderr }).toEqual({
      status: 69,
      stderr: expect.stringMatching(
        /\/config\/\.hm: expected a folder that this user can write, found E[A-Z]+: /,
      ),
    });
  },
);
