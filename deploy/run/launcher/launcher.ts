import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Settings } from '../../../common/config/settings.ts';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import type { Logger } from '../../../common/runtime/log/log.ts';
import { ALL_IN_ONE, type ChildName, type Output, PROCESS_NAMES, startChild } from './child.ts';
import { lockFolder } from './folder-lock.ts';
import { writePrivateServers } from './private-servers.ts';
import { type Server, startNatsServer, startRedisServer } from './servers.ts';
import { type Backoff, type Supervisor, supervise } from './supervise.ts';

/** Exit codes that a restart does not fix. */
const FATAL_EXITS = new Set<number>([EXIT.usage, EXIT.config]);

export interface LauncherOptions {
  settings: Pick<Settings, 'redis' | 'mbusGiven'>;
  log: Logger;
  /** For the private servers' data, `.hm` beside the configuration file. */
  dataDir: string;
  /** All processes run in one child. */
  isOneProcess?: boolean;
  /** The command line of one child. */
  command(name: ChildName): { program: string; args: string[] };
  /** The children's environment; REDIS_URL and MBUS_URI are added for private servers. */
  env: NodeJS.ProcessEnv;
  output: Output;
  /** A private Redis has started, before anything uses it. @param url where it answers */
  onPrivateRedis?(url: string): Promise<void>;
  /** The URL of the dashboard, for the log. */
  dashboard?: string | undefined;
  /** All processes serve. */
  onReady?(): void;
  backoff?: Backoff;
}

export interface Launcher {
  /** The exit code, when everything that was started has ended. */
  done: Promise<number>;
  /** Ends everything: first the processes, then the servers. */
  stop(): void;
  /** SIGKILL for everything that still runs. */
  force(): void;
  /** SIGHUP for the processes, which open their log file anew; not for the servers. */
  hangUp(): void;
}

/**
 * Runs all processes on this machine, with private servers where none is configured, each restarted with
 * backoff when it ends. `done` rejects with an UnavailableError when a server cannot be started.
 */
export function launch(options: LauncherOptions): Launcher {
  const stopping = new AbortController();
  const supervisors: Supervisor[] = [];
  const children: Supervisor[] = [];
  let exitCode: number = EXIT.done;
  let forced = false;

  const stop = () => stopping.abort();
  const force = () => {
    forced = true;
    stop();
    for (const supervisor of supervisors) supervisor.kill();
  };
  const stopWith = (code: number) => {
    exitCode = code;
    stop();
  };

  async function run(): Promise<number> {
    const servers = new Servers(options, stopping.signal);
    try {
      const env = { ...options.env, ...(await servers.start()) };
      supervisors.push(...servers.supervisors);
      if (!stopping.signal.aborted) {
        children.push(...startChildren(options, env, stopWith));
        supervisors.push(...children);
        await aborted(stopping.signal);
      }
      options.log.info({ event: 'stopping' }, 'stopping');
    } catch (error) {
      // A stop during the start of a server makes that start fail, which is no error.
      if (!stopping.signal.aborted) throw error;
    } finally {
      await Promise.all(children.map((child) => child.stop()));
      await servers.stop();
    }
    options.log.info({ event: 'stopped' }, 'stopped');
    return forced ? EXIT.failed : exitCode;
  }

  const hangUp = () => {
    for (const child of children) child.signal('SIGHUP');
  };
  return { done: run(), stop, force, hangUp };
}

function startChildren(
  options: LauncherOptions,
  env: NodeJS.ProcessEnv,
  stopWith: (code: number) => void,
): Supervisor[] {
  const { log, output, backoff } = options;
  const notReady = new Set<string>(PROCESS_NAMES);
  const onLine = (line: string) => {
    const name = readyProcess(line);
    if (name === undefined || !notReady.delete(name) || notReady.size > 0) return;
    const { dashboard } = options;
    log.info(
      { event: 'ready', process: 'start', ...(dashboard && { dashboard }) },
      'all processes are ready',
    );
    options.onReady?.();
  };
  /** A port that is not available is fatal at the start only: later it may be a passing collision. */
  const isFatal = (name: ChildName, code: number) =>
    FATAL_EXITS.has(code) ||
    (code === EXIT.unavailable && (name === ALL_IN_ONE ? notReady.size > 0 : notReady.has(name)));
  const names: readonly ChildName[] = options.isOneProcess ? [ALL_IN_ONE] : PROCESS_NAMES;
  return names.map((name) =>
    supervise({
      name,
      log,
      ...(backoff && { backoff }),
      start: () => startChild({ ...options.command(name), env, output, onLine }),
      isFinal(code) {
        if (code === null || !isFatal(name, code)) return false;
        log.error(
          { event: 'child_given_up', child: name, code },
          `${name} cannot run: exit code ${code}, reason above`,
        );
        stopWith(code);
        return true;
      },
    }),
  );
}

/** The process that this line of a log reports as ready; undefined if it reports none. */
function readyProcess(line: string): string | undefined {
  return line.includes('"event":"ready"') ? /"process":"(\w+)"/.exec(line)?.[1] : undefined;
}

/** The private servers: a Redis and a NATS, each only when none is configured. */
class Servers {
  readonly supervisors: Supervisor[] = [];
  readonly #options: LauncherOptions;
  readonly #signal: AbortSignal;
  #releaseFolder: () => void = () => undefined;

  constructor(options: LauncherOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** @returns the environment variables with the servers' URLs */
  async start(): Promise<NodeJS.ProcessEnv> {
    const { settings, dataDir } = this.#options;
    const env: NodeJS.ProcessEnv = {};
    if (settings.redis !== undefined && settings.mbusGiven) return env;
    this.#releaseFolder = lockFolder(dataDir);
    // New at each start; `hm` finds it in the folder, which only this user can read.
    const password = randomBytes(24).toString('hex');
    if (settings.redis === undefined) {
      const dir = join(dataDir, 'redis');
      env.REDIS_URL = await this.#startAndSupervise('redis-server', (port, signal) =>
        startRedisServer({ dir, signal, password, ...(port && { port }) }),
      );
      await this.#options.onPrivateRedis?.(env.REDIS_URL);
    }
    if (!settings.mbusGiven) {
      const dir = join(dataDir, 'nats');
      env.MBUS_URI = await this.#startAndSupervise('nats-server', (port, signal) =>
        startNatsServer({ dir, signal, password, ...(port && { port }) }),
      );
    }
    writePrivateServers(dataDir, {
      ...(env.REDIS_URL !== undefined && { redis: env.REDIS_URL }),
      ...(env.MBUS_URI !== undefined && { nats: env.MBUS_URI }),
    });
    return env;
  }

  async stop(): Promise<void> {
    await Promise.all(this.supervisors.map((supervisor) => supervisor.stop()));
    this.#releaseFolder();
  }

  /** The first start must succeed. Restarts use the same port, because the clients reconnect to it. */
  async #startAndSupervise(
    name: string,
    start: (port: number | undefined, signal: AbortSignal) => Promise<Server>,
  ): Promise<string> {
    const { log, backoff } = this.#options;
    const first = await start(undefined, this.#signal);
    log.info(
      { event: 'server_started', server: name, url: first.url, pid: first.pid },
      `${name} answers on ${first.url}`,
    );
    const restart = (signal: AbortSignal) => start(first.port, signal);
    this.supervisors.push(supervise({ name, log, first, start: restart, ...(backoff && { backoff }) }));
    return first.url;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
