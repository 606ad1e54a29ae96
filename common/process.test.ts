import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createKeys, LAYOUT_VERSION } from './redis/keys.ts';
import { packageRoot } from './runtime/package-root.ts';
import { startNats, type TestNats } from './testing/nats/server.ts';
import { freePort, startTestRedis, type TestRedis } from './testing/redis/server.ts';

/** Real processes of compiled code: signals and exit codes cannot be tested inside this process. */
let built: string;
let dir: string;
let redis: TestRedis;
let nats: TestNats;
const children: Running[] = [];

beforeAll(async () => {
  // Below dist/, so that the package's folder and its dependencies are found from there.
  mkdirSync(path.join(packageRoot, 'dist'), { recursive: true });
  built = mkdtempSync(path.join(packageRoot, 'dist', '.process-test-'));
  const tsc = path.join(packageRoot, 'node_modules', '.bin', 'tsc');
  execFileSync(tsc, ['-p', packageRoot, '--outDir', built, '--noCheck'], { stdio: 'ignore' });
  [redis, nats] = await Promise.all([startTestRedis(), startNats()]);
}, 60_000);

afterAll(async () => {
  await Promise.all([redis?.stop(), nats?.stop()]);
  rmSync(built, { recursive: true, force: true });
});

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'hm-process-'));
});

afterEach(async () => {
  for (const running of children.splice(0)) {
    running.child.kill('SIGKILL');
    await running.exited;
  }
  rmSync(dir, { recursive: true });
});

interface Running {
  child: ChildProcess;
  /** The log so far. */
  lines: Record<string, unknown>[];
  stderr(): string;
  exited: Promise<{ code: number | null; signal: string | null }>;
  /** Waits for a line with this event. */
  event(name: string): Promise<Record<string, unknown>>;
}

function config(more = ''): string {
  const file = path.join(dir, 'health_manager.yml');
  writeFileSync(file, `mbus: ${nats.url}\nredis: {url: "${redis.url}"}\n${more}`);
  return file;
}

/** Resolves when the child has exited and all its output is read. (A child whose channel the test closed emits no `close`.) */
async function ended(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  const streams = [child.stdout, child.stderr].map(
    (stream) => new Promise<void>((resolve) => stream?.once('close', () => resolve())),
  );
  const exit = await new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  await Promise.all(streams);
  return exit;
}

function run(args: string[], { channel = false } = {}): Running {
  const fixture = path.join(built, 'common', 'testing', 'process-fixture.js');
  const env = { PATH: process.env.PATH, STATUS_USER: 'user', STATUS_PASSWORD: 'password' };
  const child = channel
    ? fork(fixture, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env, cwd: dir })
    : spawn(process.execPath, [fixture, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env, cwd: dir });
  const running: Running = {
    child,
    lines: [],
    stderr: () => stderr,
    exited: ended(child),
    event: (name) =>
      vi.waitFor(
        () => {
          const found = running.lines.find((line) => line.event === name);
          if (found === undefined)
            throw new Error(`no ${name} yet: ${JSON.stringify(running.lines)} ${stderr}`);
          return found;
        },
        { timeout: 15_000, interval: 10 },
      ),
  };
  let stderr = '';
  child.stderr?.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  if (child.stdout !== null)
    createInterface(child.stdout).on('line', (line) => running.lines.push(JSON.parse(line)));
  children.push(running);
  return running;
}

const CLEAN = { code: 0, signal: null };

describe('a process', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('serves, and stops at %s', async (signal) => {
    const running = run([config(), 'serves']);
    expect(await running.event('ready')).toMatchObject({ process: 'ingest', level: 'info' });
    running.child.kill(signal);
    expect(await running.exited).toEqual(CLEAN);
    expect(running.lines.map((line) => line.event)).toEqual([
      'nats_connected',
      'ready',
      'stopping',
      'released',
      'stopped',
    ]);
  });

  it('logs the warnings about its configuration', async () => {
    const running = run([config('slicess: 5'), 'serves']);
    await running.event('ready');
    expect(await running.event('config_warning')).toMatchObject({
      msg: 'health_manager.yml: slicess: unknown key, ignored; the nearest known one is slices',
    });
  });

  it('logs ready on stdout even when it logs to a file', async () => {
    const file = path.join(dir, 'hm.log');
    const running = run([config(`logging: {file: ${file}, level: error}`), 'serves']);
    expect(await running.event('ready')).toMatchObject({ process: 'ingest' });
    running.child.kill('SIGTERM');
    expect(await running.exited).toEqual(CLEAN);
    expect(running.lines).toHaveLength(1);
    expect(readFileSync(file, 'utf8')).toBe('');
  });

  it('keeps a pid file while it runs', async () => {
    const file = path.join(dir, 'hm.pid');
    const running = run([config(`pid: ${file}`), 'serves']);
    await running.event('ready');
    expect(readFileSync(file, 'utf8')).toBe(`${running.child.pid}\n`);
    running.child.kill('SIGTERM');
    expect(await running.exited).toEqual(CLEAN);
    expect(existsSync(file)).toBe(false);
  });

  it('answers over HTTP while it waits for Redis, and /readyz names Redis', async () => {
    const [redisPort, httpPort] = [await freePort(), await freePort()];
    const file = path.join(dir, 'health_manager.yml');
    writeFileSync(file, `mbus: ${nats.url}\nredis: {url: "redis://127.0.0.1:${redisPort}"}`);
    const running = run([file, 'serves', String(httpPort)]);
    const get = (what: string) => fetch(`http://127.0.0.1:${httpPort}/${what}`);
    await running.event('redis_disconnected');
    await vi.waitFor(async () => expect((await get('healthz')).status).toBe(200), { timeout: 5_000 });
    const waiting = await get('readyz');
    expect(waiting.status).toBe(503);
    expect(await waiting.text()).toMatch(/^process: starting\nredis: /);
    const late = await startTestRedis(redisPort);
    try {
      await running.event('ready');
      expect((await get('readyz')).status).toBe(200);
      expect((await get('metrics')).status).toBe(200);
      const logged = (event: string) => running.lines.filter((line) => line.event === event);
      expect([logged('redis_disconnected').length, logged('redis_reconnected').length]).toEqual([1, 1]);
      running.child.kill('SIGTERM');
      expect(await running.exited).toEqual(CLEAN);
    } finally {
      await late.stop();
    }
  });

  it('leaves the HTTP port to its own server', async () => {
    const port = await freePort();
    const running = run([config(), 'has its own server', String(port)]);
    await running.event('ready');
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('own server');
  });

  it('can be stopped while it waits for Redis', async () => {
    const file = path.join(dir, 'health_manager.yml');
    writeFileSync(file, `redis: {url: "redis://127.0.0.1:${await freePort()}"}`);
    const running = run([file, 'serves']);
    await running.event('redis_disconnected');
    running.child.kill('SIGTERM');
    expect(await running.exited).toEqual(CLEAN);
  });

  it('can be stopped while it waits for NATS', async () => {
    const file = path.join(dir, 'health_manager.yml');
    writeFileSync(file, `mbus: nats://127.0.0.1:${await freePort()}\nredis: {url: "${redis.url}"}`);
    const running = run([file, 'serves']);
    await running.event('nats_disconnected');
    running.child.kill('SIGTERM');
    expect(await running.exited).toEqual(CLEAN);
  });
});

describe('a stop', () => {
  it('ends with exit code 0 even when something does not stop cleanly, which is logged', async () => {
    const running = run([config(), 'stops badly']);
    await running.event('ready');
    running.child.kill('SIGTERM');
    expect(await running.exited).toEqual(CLEAN);
    expect(running.lines).toContainEqual(expect.objectContaining({ event: 'stop_failed', level: 'error' }));
  });

  it('ends in time even when a release never ends', async () => {
    const running = run([config(), 'stops never']);
    await running.event('ready');
    const began = performance.now();
    running.child.kill('SIGTERM');
    expect(await running.exited).toEqual(CLEAN);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('ends within ten seconds even when several releases never end', async () => {
    const running = run([config(), 'stops never, four times']);
    await running.event('ready');
    const askedMs = performance.now();
    running.child.kill('SIGTERM');
    expect(await running.exited).toEqual(CLEAN);
    expect(performance.now() - askedMs).toBeLessThan(10_000);
    expect(running.lines.map((line) => line.event)).toContain('stop_timed_out');
  }, 30_000);

  it('is forced by a second signal', async () => {
    const running = run([config(), 'stops never']);
    await running.event('ready');
    running.child.kill('SIGTERM');
    await running.event('stopping');
    running.child.kill('SIGINT');
    expect(await running.exited).toEqual({ code: 1, signal: null });
    expect(running.lines.at(-1)).toMatchObject({ event: 'stop_forced' });
  });

  it('begins when the parent exits', async () => {
    const running = run([config(), 'serves'], { channel: true });
    await running.event('ready');
    running.child.disconnect();
    expect(await running.exited).toEqual(CLEAN);
    expect(running.lines).toContainEqual(expect.objectContaining({ event: 'released' }));
  });
});

describe('a process that cannot go on', () => {
  it.each([
    ['throws', 'start_failed', 'cannot start'],
    ['rejects later', 'uncaught_error', 'nobody listens'],
    ['throws later', 'uncaught_error', 'nobody catches'],
  ])('logs the cause and fails: %s', async (behaviour, event, message) => {
    const running = run([config(), behaviour]);
    expect(await running.exited).toEqual({ code: 1, signal: null });
    expect(running.lines).toContainEqual(
      expect.objectContaining({ event, level: 'fatal', err: expect.objectContaining({ message }) }),
    );
  });

  it('refuses a wrong configuration', async () => {
    const running = run([config('slices: 0\nintervals: {droplet_lost: soon}'), 'serves']);
    expect(await running.exited).toEqual({ code: 78, signal: null });
    expect(running.stderr()).toBe(
      'health_manager.yml: slices: expected a whole number from 1 to 65536, got 0\n' +
        'health_manager.yml: intervals.droplet_lost: expected a number of seconds > 0, got "soon"\n',
    );
    expect(running.lines).toEqual([]);
  });

  it('refuses a pid file that cannot be written', async () => {
    const file = path.join(dir, 'nowhere', 'hm.pid');
    const running = run([config(`pid: ${file}`), 'serves']);
    expect(await running.exited).toEqual({ code: 78, signal: null });
    expect(running.stderr()).toBe(`pid: ${file}: cannot be written (ENOENT)\n`);
  });

  it('refuses to start without a configuration', async () => {
    const running = run([path.join(dir, 'nowhere.yml'), 'serves']);
    expect(await running.exited).toEqual({ code: 78, signal: null });
    expect(running.stderr()).toBe(`${path.join(dir, 'nowhere.yml')}: no such file\n`);
  });

  it('refuses to start without a Redis', async () => {
    const file = path.join(dir, 'health_manager.yml');
    writeFileSync(file, '');
    const running = run([file, 'serves']);
    expect(await running.exited).toEqual({ code: 78, signal: null });
    expect(running.stderr()).toMatch(/^health_manager\.yml: redis: expected redis\.url, /);
  });

  it('refuses another number of slices than Redis has', async () => {
    const first = run([config(), 'serves']);
    await first.event('ready');
    const running = run([config('slices: 7'), 'serves']);
    expect(await running.exited).toEqual({ code: 78, signal: null });
    expect(running.stderr()).toMatch(/^slices: expected 256, /);
  });

  it('refuses a Redis of another layout version, and changes nothing in it', async () => {
    const { layout } = createKeys('newer', 256);
    const client = new Redis(redis.url);
    try {
      const other = { version: String(LAYOUT_VERSION + 1), slices: '256' };
      await client.hset(layout, other);
      const file = path.join(dir, 'health_manager.yml');
      writeFileSync(file, `mbus: ${nats.url}\nredis: {url: "${redis.url}", prefix: newer}\n`);
      const running = run([file, 'serves']);
      expect(await running.exited).toEqual({ code: 78, signal: null });
      expect(running.stderr()).toMatch(
        new RegExp(
          `expected layout ${LAYOUT_VERSION}, found ${LAYOUT_VERSION + 1}: .*another redis\\.prefix`,
        ),
      );
      expect(await client.hgetall(layout)).toEqual(other);
      expect(await client.keys('newer:*')).toEqual([layout]);
    } finally {
      await client.quit();
    }
  });

  it('runs several side by side, each with its own HTTP port, and stops all of them', async () => {
    const port = await freePort();
    const running = run([config(), 'serves; serves', String(port)]);
    const isReady = (name: string) => () =>
      expect(running.lines).toContainEqual(expect.objectContaining({ event: 'ready', process: name }));
    await vi.waitFor(isReady('ingest'), 10_000);
    await vi.waitFor(isReady('sync'), 10_000);
    for (const [at, name] of ['ingest', 'sync'].entries()) {
      const metrics = await (await fetch(`http://127.0.0.1:${port + at}/metrics`)).text();
      expect(metrics).toContain(`hm_redis_connected{process="${name}"} 1`);
    }
    running.child.kill('SIGTERM');
    expect(await running.exited).toEqual({ code: 0, signal: null });
    expect(running.lines.filter(({ event }) => event === 'released')).toHaveLength(2);
    expect(running.lines.at(-1)).toMatchObject({ event: 'stopped' });
  });

  it('stops the others when one of several cannot start', async () => {
    const running = run([config(), 'serves; throws']);
    expect(await running.exited).toEqual({ code: 1, signal: null });
    expect(running.lines).toContainEqual(expect.objectContaining({ event: 'start_failed' }));
  });

  it('names a port that is in use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const port = String((server.address() as { port: number }).port);
      const running = run([config(), 'serves', port]);
      expect(await running.exited).toEqual({ code: 69, signal: null });
      expect(running.stderr()).toContain(`port ${port} on 127.0.0.1`);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
