import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { requireProgram } from './find-program.ts';
import { type Guarded, spawnGuarded } from './kill-with-parent.ts';
import { askNats, askRedis } from './probe-server.ts';
import { processName } from './process-table.ts';
import { UnavailableError } from './unavailable-error.ts';

/** A server on this machine's loopback that ends when this process does. */
export interface Server {
  /** `redis://127.0.0.1:<port>` or `nats://127.0.0.1:<port>`. */
  url: string;
  port: number;
  pid: number;
  /** Its exit code when it ends, null when a signal ended it. */
  exited: Promise<number | null>;
  /** Ends it (Redis: after its data is on disk). Safe to call again. */
  stop(): Promise<void>;
}

interface Common {
  /** Any free one when left out. */
  port?: number;
  /** Gives up waiting for the server to be ready; what was started is stopped, and the reason is thrown. */
  signal?: AbortSignal;
}

export interface RedisOptions extends Common {
  /** Data (append-only file), log and pid file. One Redis a folder. */
  dir: string;
  /** `deploy/install/redis.conf` when left out. */
  configFile?: string;
}

export interface NatsOptions extends Common {
  /** For its log. Without it the log is not kept. */
  dir?: string;
}

/** A port that was free may be taken by another program before our server has it: then another one. */
const TRIES = 5;
const POLL_MS = 20;
/** A server that answers nothing at all for this long has failed. (Redis answers while it loads its data.) */
const SILENT_AT_MOST_MS = 30_000;
/** A Redis whose launcher was killed ends by itself within the guard's time; then its folder is free. */
const PREDECESSOR_MS = 15_000;
const LOG_AT_MOST_BYTES = 1 << 20;

/**
 * Starts redis-server and waits until it answers, with its data loaded.
 *
 * @throws UnavailableError when the program, the port or the folder is not to be had, or it does not start
 */
export async function startRedisServer(options: RedisOptions): Promise<Server> {
  const program = requireProgram('redis-server');
  const config = options.configFile ?? join(packageRoot, 'deploy', 'install', 'redis.conf');
  mkdirSync(options.dir, { recursive: true });
  const pidFile = join(options.dir, 'redis.pid');
  await predecessorGone(pidFile, options.dir);
  return start('redis-server', options, {
    command: (port) => [program, [config, '--port', `${port}`, '--dir', options.dir, '--pidfile', pidFile]],
    url: (port) => `redis://127.0.0.1:${port}`,
    probe: (port, pid) => askRedis(port, pid),
  });
}

/**
 * Starts nats-server and waits until it answers.
 *
 * @throws UnavailableError when the program or the port is not to be had, or it does not start
 */
export async function startNatsServer(options: NatsOptions = {}): Promise<Server> {
  const program = requireProgram('nats-server');
  if (options.dir !== undefined) mkdirSync(options.dir, { recursive: true });
  const name = `health-manager-${randomBytes(8).toString('hex')}`;
  return start('nats-server', options, {
    command: (port) => [program, ['--addr', '127.0.0.1', '--port', `${port}`, '--server_name', name]],
    url: (port) => `nats://127.0.0.1:${port}`,
    probe: (port) => askNats(port, name),
  });
}

interface Kind {
  command(port: number): [program: string, args: string[]];
  url(port: number): string;
  /** Whether it is this very server that answers on the port, and if it serves already. */
  probe(port: number, pid: number): Promise<'ready' | 'busy' | 'silent'>;
}

async function start(name: string, options: Common & { dir?: string }, kind: Kind): Promise<Server> {
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort());
    const [program, args] = kind.command(port);
    const log = openLog(name, options.dir);
    const server = await spawnGuarded(program, args, { stdout: log.fd, stderr: log.fd }).finally(log.close);
    const failure = await ready(server, () => kind.probe(port, server.pid), options.signal);
    if (failure === undefined) {
      return { url: kind.url(port), port, pid: server.pid, exited: server.exited, stop: () => server.stop() };
    }
    await server.stop();
    options.signal?.throwIfAborted();
    const taken = await isTaken(port);
    if (taken && options.port === undefined && tries < TRIES) continue;
    const reason = taken ? `port ${port} is taken` : `${failure}${log.tail()}`;
    throw new UnavailableError(`${name}: did not start: ${reason}`);
  }
}

/** Waits until it serves; otherwise says why it will not. */
async function ready(
  server: Guarded,
  probe: () => Promise<'ready' | 'busy' | 'silent'>,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  let exit: string | undefined;
  void server.exited.then((code) => {
    exit = `ended with ${code === null ? 'a signal' : `exit code ${code}`}`;
  });
  let silentSinceMs = performance.now();
  while (exit === undefined) {
    if (signal?.aborted) return 'no longer wanted';
    // A probe of somebody else's port may take its time; our server's end does not wait for it.
    const answer = await Promise.race([probe(), server.exited]);
    if (answer === 'ready') return undefined;
    if (answer === 'busy') silentSinceMs = performance.now();
    if (performance.now() - silentSinceMs > SILENT_AT_MOST_MS) return 'does not answer';
    await delay(POLL_MS);
  }
  return exit;
}

/** A loopback port that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address !== null && typeof address === 'object') resolve(address.port);
      else reject(new Error('no port'));
    });
  });
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function isTaken(port: number): Promise<boolean> {
  const server = createServer();
  const taken = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(true));
    server.listen(port, '127.0.0.1', () => resolve(false));
  });
  if (!taken) await new Promise((resolve) => server.close(resolve));
  return taken;
}

/** Two Redis on one folder would write one append-only file. */
async function predecessorGone(pidFile: string, dir: string): Promise<void> {
  const giveUpMs = performance.now() + PREDECESSOR_MS;
  for (;;) {
    const pid = readPid(pidFile);
    if (pid === undefined || !/redis|valkey/.test(processName(pid) ?? '')) return;
    if (performance.now() > giveUpMs) {
      throw new UnavailableError(`redis-server: ${dir} is in use by another redis-server, pid ${pid}`);
    }
    await delay(100);
  }
}

function readPid(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8')) || undefined;
  } catch {
    return undefined; // no pid file: nobody is there
  }
}

/** Appends to `<dir>/<name>.log`, begun anew when it got long. */
function openLog(name: string, dir: string | undefined) {
  if (dir === undefined) return { fd: 'ignore' as const, close: () => undefined, tail: () => '' };
  const file = join(dir, `${name}.log`);
  const long = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > LOG_AT_MOST_BYTES;
  const fd = openSync(file, long ? 'w' : 'a');
  return {
    fd,
    close: () => closeSync(fd),
    tail: () => ` (${file}: ${readFileSync(file, 'utf8').trimEnd().split('\n').slice(-3).join(' | ')})`,
  };
}
