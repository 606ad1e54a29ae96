import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { requireProgram } from './find-program.ts';
import { type BoundChild, spawnBoundToParent } from './kill-with-parent.ts';
import { probeNats, probeRedis, type ServerStatus } from './probe-server.ts';
import { processName } from './process-table.ts';
import { UnavailableError } from './unavailable-error.ts';

/** A server on this machine's loopback that ends when this process does. */
export interface Server {
  /** `redis://127.0.0.1:<port>` or `nats://127.0.0.1:<port>`, with the login if it has one. */
  url: string;
  port: number;
  pid: number;
  /** Resolves with its exit code, or null after a signal. */
  exited: Promise<number | null>;
  /** Ends it; a Redis writes its data to disk first. Safe to call again. */
  stop(): Promise<void>;
}

interface Common {
  /** The password that clients need, in characters that a URL may have; it needs `dir`. Default: none. */
  password?: string;
  /** Default: any free port. */
  port?: number;
  /** Aborts the start: the server is stopped, and the signal's reason is thrown. */
  signal?: AbortSignal;
}

export interface RedisOptions extends Common {
  /** For data (append-only file), log and pid file. One folder for each Redis. */
  dir: string;
  /** Default: `deploy/install/redis.conf`. */
  configFile?: string;
}

export interface NatsOptions extends Common {
  /** For its log. Default: the log is dropped. */
  dir?: string;
  /** More of its configuration than address and name; not together with a password. */
  configFile?: string;
  /** `server_name` in `configFile`. Without it the name is in the arguments, and the server takes no new configuration while it runs. */
  serverName?: string;
}

/** Another program may take a free port before the server binds it. Then the next try uses another port. */
const MAX_TRIES = 5;
const POLL_MS = 20;
/** A server that is silent for this long has failed. (Redis answers while it loads its data.) */
const MAX_SILENCE_MS = 30_000;
/** The guard of a killed launcher ends its Redis within 10 s; then the folder is free. */
const FOLDER_FREE_WITHIN_MS = 15_000;
const MAX_LOG_BYTES = 1 << 20;

/**
 * Starts redis-server and waits until it answers, with its data loaded.
 *
 * @throws UnavailableError when the program, the port or the folder is not available, or the server does not start
 */
export async function startRedisServer(options: RedisOptions): Promise<Server> {
  const program = requireProgram('redis-server');
  const config = options.configFile ?? join(packageRoot, 'deploy', 'install', 'redis.conf');
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  const pidFile = join(options.dir, 'redis.pid');
  await waitUntilFolderIsFree(pidFile, options.dir);
  const { password } = options;
  const login =
    password === undefined
      ? []
      : ['--include', writeLogin(options.dir, 'redis', `requirepass ${password}\n`)];
  return start('redis-server', options, {
    command: (port) => [
      program,
      [config, '--port', `${port}`, '--dir', options.dir, '--pidfile', pidFile, ...login],
    ],
    url: (port) => `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`,
    probe: (port, pid) => probeRedis(port, pid, password),
  });
}

/**
 * Starts nats-server and waits until it answers.
 *
 * @throws UnavailableError when the program or the port is not available, or the server does not start
 */
export async function startNatsServer(options: NatsOptions = {}): Promise<Server> {
  const program = requireProgram('nats-server');
  const { dir, password } = options;
  if (dir !== undefined) mkdirSync(dir, { recursive: true, mode: 0o700 });
  const configFile =
    dir === undefined || password === undefined
      ? options.configFile
      : writeLogin(dir, 'nats', `authorization { user: hm, password: "${password}" }\n`);
  const name = options.serverName ?? `health-manager-${randomBytes(8).toString('hex')}`;
  const named = options.serverName === undefined ? ['--server_name', name] : [];
  return start('nats-server', options, {
    command: (port) => [
      program,
      [
        ...(configFile === undefined ? [] : ['-c', configFile]),
        ...['--addr', '127.0.0.1', '--port', `${port}`, ...named],
      ],
    ],
    url: (port) => `nats://${password === undefined ? '' : `hm:${password}@`}127.0.0.1:${port}`,
    probe: (port) => probeNats(port, name),
  });
}

interface ServerKind {
  command(port: number): [program: string, args: string[]];
  url(port: number): string;
  /** The status of this server; another server on the same port counts as silent. */
  probe(port: number, pid: number): Promise<ServerStatus>;
}

/**
 * Writes a file of the server's configuration that only this user can read. A command line is readable for every user.
 *
 * @returns its path
 */
function writeLogin(dir: string, name: string, text: string): string {
  const file = join(dir, `${name}-login.conf`);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

async function start(name: string, options: Common & { dir?: string }, kind: ServerKind): Promise<Server> {
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort());
    const [program, args] = kind.command(port);
    const log = openLog(name, options.dir);
    // The data is readable for this user only.
    const output = { stdout: log.fd, stderr: log.fd, umask: 0o077 };
    const server = await spawnBoundToParent(program, args, output).finally(log.close);
    const failure = await waitUntilReady(server, () => kind.probe(port, server.pid), options.signal);
    if (failure === undefined) {
      return { url: kind.url(port), port, pid: server.pid, exited: server.exited, stop: () => server.stop() };
    }
    await server.stop();
    options.signal?.throwIfAborted();
    const taken = await isTaken(port);
    if (taken && options.port === undefined && tries < MAX_TRIES) continue;
    const reason = taken ? `port ${port} is taken` : `${failure}${log.tail()}`;
    throw new UnavailableError(`${name}: did not start: ${reason}`);
  }
}

/** @returns undefined when the server is ready, else the reason why it is not */
async function waitUntilReady(
  server: BoundChild,
  probe: () => Promise<ServerStatus>,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  let exit: string | undefined;
  void server.exited.then((code) => {
    exit = `ended with ${code === null ? 'a signal' : `exit code ${code}`}`;
  });
  let silentSinceMs = performance.now();
  while (exit === undefined) {
    if (signal?.aborted) return 'the start was aborted';
    // Another program on the port may delay the probe; the end of our server ends the wait at once.
    const status = await Promise.race([probe(), server.exited]);
    if (status === 'ready') return undefined;
    if (status === 'busy') silentSinceMs = performance.now();
    if (performance.now() - silentSinceMs > MAX_SILENCE_MS) return 'does not answer';
    await delay(POLL_MS);
  }
  return exit;
}

/** A loopback port that no program listens on now. */
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

/** Two Redis servers in one folder would write the same append-only file. */
async function waitUntilFolderIsFree(pidFile: string, dir: string): Promise<void> {
  const giveUpMs = performance.now() + FOLDER_FREE_WITHIN_MS;
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
    return undefined; // no pid file: no Redis uses the folder
  }
}

/** Opens `<dir>/<name>.log` for appending; a log above the limit is truncated first. */
function openLog(name: string, dir: string | undefined) {
  if (dir === undefined) return { fd: 'ignore' as const, close: () => undefined, tail: () => '' };
  const file = join(dir, `${name}.log`);
  const isLong = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES;
  const fd = openSync(file, isLong ? 'w' : 'a', 0o600);
  return {
    fd,
    close: () => closeSync(fd),
    tail: () => ` (${file}: ${readFileSync(file, 'utf8').trimEnd().split('\n').slice(-3).join(' | ')})`,
  };
}
