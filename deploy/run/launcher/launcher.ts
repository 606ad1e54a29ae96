import { join } from 'node:path';
import type { Settings } from '../../../common/config/settings.ts';
import type { Logger } from '../../../common/runtime/log.ts';
import { type Output, PROCESS_NAMES, type ProcessName, startChild } from './child.ts';
import { claimFolder } from './folder-lock.ts';
import { writePrivateServers } from './private-servers.ts';
import { type Server, startNatsServer, startRedisServer } from './servers.ts';
import { type Backoff, type Keeper, keep } from './supervise.ts';

/** Exit codes that a restart does not mend (contract: programs): wrong usage, wrong configuration. */
const FATAL_EXITS = new Set([64, 78]);
/** A port or program that is not to be had. Fatal only at the start: later it may be a passing collision. */
const UNAVAILABLE = 69;

export interface LauncherOptions {
  settings: Pick<Settings, 'redis' | 'mbusGiven'>;
  log: Logger;
  /** For the private servers' data, `.hm` beside the configuration file. */
  dataDir: string;
  /** The command line of one process. */
  command(name: ProcessName): { program: string; args: string[] };
  /** The children's environment; REDIS_URL and MBUS_URI are added for private servers. */
  env: NodeJS.ProcessEnv;
  output: Output;
  backoff?: Backoff;
}

export interface Launcher {
  /** The exit code, when everything that was started has ended. */
  done: Promise<number>;
  /** Ends everything: first the processes, then the servers. */
  stop(): void;
  /** SIGKILL for everything that still runs. */
  force(): void;
}

/**
 * Runs all processes on this machine, with private servers where none is configured, each restarted with
 * backoff when it ends. `done` rejects with an UnavailableError when a server is not to be had.
 */
export function launch(options: LauncherOptions): Launcher {
  const stopping = new AbortController();
  const keepers: Keeper[] = [];
  let exitCode = 0;
  let forced = false;

  const stop = () => stopping.abort();
  const force = () => {
    forced = true;
    stop();
    for (const keeper of keepers) keeper.kill();
  };
  const stopWith = (code: number) => {
    exitCode = code;
    stop();
  };

  async function run(): Promise<number> {
    const servers = new Servers(options, stopping.signal);
    const children: Keeper[] = [];
    try {
      const env = { ...options.env, ...(await servers.start()) };
      keepers.push(...servers.keepers);
      if (!stopping.signal.aborted) {
        children.push(...startChildren(options, env, stopWith));
        keepers.push(...children);
        await aborted(stopping.signal);
      }
      options.log.info({ event: 'stopping' }, 'stopping');
    } catch (error) {
      // Told to stop while a server was being started: that it did not start is no failure then.
      if (!stopping.signal.aborted) throw error;
    } finally {
      await Promise.all(children.map((child) => child.stop()));
      await servers.stop();
    }
    options.log.info({ event: 'stopped' }, 'stopped');
    return forced ? 1 : exitCode;
  }

  return { done: run(), stop, force };
}

function startChildren(
  options: LauncherOptions,
  env: NodeJS.ProcessEnv,
  stopWith: (code: number) => void,
): Keeper[] {
  const { log, output, backoff } = options;
  const notReady = new Set<ProcessName>(PROCESS_NAMES);
  const onLine = (name: ProcessName, line: string) => {
    if (!notReady.has(name) || !isReadyLine(line)) return;
    notReady.delete(name);
    if (notReady.size === 0) log.info({ event: 'ready', process: 'start' }, 'all processes are ready');
  };
  return PROCESS_NAMES.map((name) =>
    keep({
      name,
      log,
      ...(backoff && { backoff }),
      start: () =>
        startChild({ ...options.command(name), env, output, onLine: (line) => onLine(name, line) }),
      final(code) {
        const fatal =
          code !== null && (FATAL_EXITS.has(code) || (code === UNAVAILABLE && notReady.has(name)));
        if (!fatal) return false;
        log.error(
          { event: 'child_given_up', child: name, code },
          `${name} cannot run (exit code ${code}, reason above)`,
        );
        stopWith(code);
        return true;
      },
    }),
  );
}

function isReadyLine(line: string): boolean {
  return line.includes('"event":"ready"');
}

/** The private servers, as far as they are needed. */
class Servers {
  readonly keepers: Keeper[] = [];
  readonly #options: LauncherOptions;
  readonly #signal: AbortSignal;
  #giveBack: () => void = () => undefined;

  constructor(options: LauncherOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** @returns what tells the children where they are */
  async start(): Promise<NodeJS.ProcessEnv> {
    const { settings, dataDir } = this.#options;
    const env: NodeJS.ProcessEnv = {};
    if (settings.redis !== undefined && settings.mbusGiven) return env;
    this.#giveBack = claimFolder(dataDir);
    if (settings.redis === undefined) {
      const dir = join(dataDir, 'redis');
      env.REDIS_URL = await this.#keep('redis-server', (port, signal) =>
        startRedisServer({ dir, signal, ...(port && { port }) }),
      );
    }
    if (!settings.mbusGiven) {
      const dir = join(dataDir, 'nats');
      env.MBUS_URI = await this.#keep('nats-server', (port, signal) =>
        startNatsServer({ dir, signal, ...(port && { port }) }),
      );
    }
    writePrivateServers(dataDir, {
      ...(env.REDIS_URL !== undefined && { redis: env.REDIS_URL }),
      ...(env.MBUS_URI !== undefined && { nats: env.MBUS_URI }),
    });
    return env;
  }

  async stop(): Promise<void> {
    await Promise.all(this.keepers.map((keeper) => keeper.stop()));
    this.#giveBack();
  }

  /** The first start has to succeed; from then on it is restarted on the same port, where its clients look. */
  async #keep(
    name: string,
    start: (port: number | undefined, signal: AbortSignal) => Promise<Server>,
  ): Promise<string> {
    const { log, backoff } = this.#options;
    const first = await start(undefined, this.#signal);
    log.info(
      { event: 'server_started', server: name, url: first.url, pid: first.pid },
      `${name} answers on ${first.url}`,
    );
    const again = (signal: AbortSignal) => start(first.port, signal);
    this.keepers.push(keep({ name, log, first, start: again, ...(backoff && { backoff }) }));
    return first.url;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
