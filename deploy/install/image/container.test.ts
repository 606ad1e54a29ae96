/** The image, built and run by a container engine: with a root that cannot be written, without capabilities. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startNats, type TestNats } from '../../../common/testing/nats/server.ts';
import { freePort, startTestRedis, type TestRedis } from '../../../common/testing/redis/server.ts';
import { PROCESS_NAMES, type ProcessName } from '../../run/launcher/child.ts';
import { readDockerfile } from '../testing/dockerfile.ts';
import { buildImage, call, type Engine, findEngine } from '../testing/engine.ts';

const IMAGE = 'localhost/health-manager:test';
const BUILD_MS = 600_000;
/** After this time it is killed (s). */
const STOP_S = 12;

const engine = findEngine();
const run = (...args: string[]) => call(engine as Engine, ...args);

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
  if (!process.env.HM_TEST_IMAGE_IS_BUILT) buildImage(engine, IMAGE);
}, BUILD_MS);
afterAll(async () => {
  if (engine === undefined) return;
  await Promise.all([nats.stop(), redis.stop()]);
  // Only a test that has failed leaves its container.
  for (const name of [...PROCESS_NAMES, 'early'] as const) run('rm', '--force', containerOf(name));
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

const containerOf = (name: ProcessName | 'early') => `hm-test-${name}-${process.pid}`;

const HARDENED = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
const inContainer = (...args: string[]) => [
  ...['run', '--network', 'host', ...(engine?.options ?? []), ...HARDENED],
  ...args,
];

/** `podman run` as compose.yml and the Deployments do. */
function runArgs(...args: string[]): string[] {
  const mount = `${dir}/health_manager.yml:/config/health_manager.yml:ro`;
  const env = ['-e', `MBUS_URI=${nats.url}`, '-e', `REDIS_URL=${redis.url}`];
  return inContainer('-v', mount, ...env, ...args);
}

/** What the health check uses of the CPU, each time (s). */
function checkCpuS(container: string): number {
  const checks = 20;
  const command = (readDockerfile().at(-1)?.healthcheck ?? []).join(' ');
  const script = `for i in {1..${checks}}; do ${command} || exit 1; done; times`;
  const { status, stdout } = run('exec', container, 'bash', '-c', script);
  expect(status).toBe(0);
  // The last line has user and system time of the children: `0m0.041s 0m0.020s`.
  const times = [...(stdout.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  expect(times).toHaveLength(2);
  return (
    times.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0) / checks
  );
}

test.skipIf(engine === undefined).each(PROCESS_NAMES)(
  '%s in a container becomes ready, passes the health check in milliseconds, and stops in time (needs a container engine and its base image)',
  { timeout: 120_000 },
  async (name) => {
    const port = String(await freePort());
    const container = containerOf(name);
    const [program = '', ...first] = engine?.command ?? [];
    const env = ['-e', `HM_HEALTH_PORT=${port}`];
    const args = runArgs('--rm', '--name', container, ...env, IMAGE, name, '--http-port', port);
    const child = spawn(program, [...first, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    for await (const text of createInterface({ input: child.stdout })) {
      if (!text.includes('"event":"ready"')) continue;
      const check = readDockerfile().at(-1)?.healthcheck ?? [];
      expect(run('exec', container, ...check)).toMatchObject({ status: 0, stderr: '' });
      expect(checkCpuS(container)).toBeLessThan(0.02);
      expect(run('exec', container, 'hm', '--version').stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
      const beganMs = performance.now();
      run('stop', '--time', String(STOP_S), container);
      expect(performance.now() - beganMs).toBeLessThan((STOP_S - 1) * 1000);
    }
    expect(await ended).toBe(0);
  },
);

test.skipIf(engine === undefined)(
  'SIGTERM right after the start ends the container in time (needs a container engine and its base image)',
  { timeout: 60_000 },
  async () => {
    const container = containerOf('early');
    expect(run(...runArgs('--detach', '--name', container, IMAGE, 'ingest'))).toMatchObject({ status: 0 });
    const beganMs = performance.now();
    run('stop', '--time', String(STOP_S), container);
    expect(performance.now() - beganMs).toBeLessThan((STOP_S - 1) * 1000);
    // 143: before the program could handle it.
    expect(run('inspect', '--format', '{{.State.ExitCode}}', container).stdout).toMatch(/^(0|143)\n$/);
    run('rm', '--force', container);
  },
);

test.skipIf(engine === undefined)(
  'start without a folder to write ends with 69 and a clear line (needs a container engine and its base image)',
  () => {
    const { status, stderr } = run(...inContainer('--rm', '-v', `${dir}:/config:ro`, IMAGE, 'start'));
    expect({ status, stderr }).toEqual({
      status: 69,
      stderr: expect.stringMatching(
        /\/config\/\.hm: expected a folder that this user can write, found E[A-Z]+: /,
      ),
    });
  },
);
