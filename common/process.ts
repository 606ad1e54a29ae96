/** The states of every process: configuration -> dependencies -> start -> serve -> stop -> exit. */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Registry } from 'prom-client';
import { ConfigError, type LoadedConfig, loadConfig } from './config/load.ts';
import type { Settings } from './config/settings.ts';
import type { ProcessKind } from './model/process-kinds.ts';
import type { Bus } from './nats/bus.ts';
import { connectBus, type DedicatedConnection } from './nats/connection/connect.ts';
import { type Clock, startClock } from './redis/clock.ts';
import { connectRedis, type RedisConnections } from './redis/connection/connections.ts';
import { checkWrites } from './redis/connection/write-check.ts';
import { Registration } from './redis/fleet/processes/registration.ts';
import { LayoutError } from './redis/layout.ts';
import { Health } from './runtime/health.ts';
import { createHttp, listen, PortTakenError } from './runtime/http/http.ts';
import { LastWork } from './runtime/last-work.ts';
import { EXIT } from './runtime/lifecycle/exit-codes.ts';
import { Lifecycle } from './runtime/lifecycle/lifecycle.ts';
import { notifySystemd } from './runtime/lifecycle/systemd.ts';
import {
  createLogger,
  type Logger,
  type LogOutput,
  logReady,
  openLogOutput,
  reopenOnHangUp,
  withoutLogins,
} from './runtime/log/log.ts';
import { busMetrics, createRegistry, logMetrics, redisMetrics, selfMetrics } from './runtime/metrics.ts';
import { measureEventLoop, measureRoundTrips } from './runtime/self-metrics.ts';
import { withTimeout } from './runtime/tasks/with-timeout.ts';
import { startTracing } from './tracing/tracing.ts';

export interface ProcessDefinition {
  name: ProcessKind;
  /** The process starts its own HTTP server, at `httpPort` if that is given. */
  ownHttp?: true;
  /** Resolves when the process serves. */
  start(context: ProcessContext): Promise<void>;
}

export interface ProcessContext {
  settings: Settings;
  log: Logger;
  clock: Clock;
  lifecycle: Lifecycle;
  redis: RedisConnections;
  /**
   * Waits while NATS is not reachable. Every call returns the same connection: the main one, or the dedicated one of that
   * name.
   */
  connectBus(dedicated?: DedicatedConnection): Promise<Bus>;
  metrics: Registry;
  health: Health;
  /** To be told of each piece of work that is done. */
  work: LastWork;
  /** `--http-port` */
  httpPort?: number;
}

export interface RunOptions {
  /** What this program runs: one process, or several side by side that stop together. */
  definitions: readonly ProcessDefinition[];
  /** `--config` */
  configFile?: string | undefined;
  /** From `--http-port`: where a process serves `/healthz`, `/readyz` and `/metrics`; undefined: nowhere. */
  httpPortOf?(name: ProcessKind): number | undefined;
}

/** A process of this program that is starting or runs. */
interface Started {
  definition: ProcessDefinition;
  log: Logger;
  lifecycle: Lifecycle;
  /** Of one process of the program: it starts tracing by this name and notifies systemd. */
  programName?: string;
}

/** A process has 10 s to stop; the rest is for the exit itself. */
const STOP_TIMEOUT_MS = 9_000;

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError || error instanceof LayoutError) return EXIT.config;
  return error instanceof PortTakenError ? EXIT.unavailable : EXIT.failed;
}

/** Writes the pid. The file is removed when this process exits, unless another process has written its own pid since. */
export function writePidFile(file: string): void {
  try {
    writeFileSync(file, `${process.pid}\n`);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new ConfigError([`pid: ${file}: cannot be written (${code})`], { cause });
  }
  process.once('exit', () => {
    try {
      if (readFileSync(file, 'utf8').trim() === String(process.pid)) unlinkSync(file);
    } catch {
      // Already removed.
    }
  });
}

/** @throws ConfigError also when no Redis is configured, because only the launcher can start one */
function configure({ configFile }: RunOptions): LoadedConfig {
  const loaded = loadConfig({ file: configFile, env: process.env, cwd: process.cwd() });
  if (loaded.settings.redis === undefined) {
    throw new ConfigError([
      `${path.basename(loaded.file)}: redis: expected redis.url, redis.cluster or redis.sentinel (or REDIS_URL), got none`,
    ]);
  }
  return loaded;
}

/** Runs processes until they stop. Never returns: the program exits. */
export async function runProcesses(options: RunOptions): Promise<never> {
  const { definitions } = options;
  let loaded: LoadedConfig;
  let output: LogOutput;
  let started: Started[];
  try {
    loaded = configure(options);
    const { logging } = loaded.settings;
    output = openLogOutput(logging);
    started = definitions.map((definition, at) => ({
      definition,
      log: createLogger(definition.name, logging, output),
      lifecycle: new Lifecycle(),
      ...(at === 0 && { programName: definitions.length === 1 ? definition.name : 'all' }),
    }));
    reopenOnHangUp(firstOf(started).log, logging, output);
    // Under the launcher the pid file has the launcher's pid.
    if (loaded.settings.pidFile !== undefined && process.send === undefined)
      writePidFile(loaded.settings.pidFile);
  } catch (error) {
    const lines = error instanceof ConfigError ? error.lines : [withoutLogins(String(error))];
    process.stderr.write(lines.map((line) => `${line}\n`).join(''));
    process.exit(exitCodeOf(error));
  }
  const { log } = firstOf(started);
  for (const warning of loaded.warnings) log.warn({ event: 'config_warning' }, warning);
  const stopped = stopOnSignals(started);
  exitOnUncaught(log);
  for (const each of started) {
    start(each, loaded.settings, output, options.httpPortOf?.(each.definition.name)).catch(
      (error: unknown) => {
        // A connection attempt that the stop has ended is no failure.
        if (!each.lifecycle.stopping) void fail(error, each, started);
      },
    );
  }
  return stopped;
}

/** It has the log lines that concern the whole program. */
const firstOf = (started: readonly Started[]): Started => started[0] as Started;

async function start(
  { definition, log, lifecycle, programName }: Started,
  settings: Settings,
  output: LogOutput,
  httpPort: number | undefined,
): Promise<void> {
  const health = new Health();
  const metrics = createRegistry(definition.name);
  logMetrics(metrics, output);
  health.set('process', 'starting');
  // A child of the launcher is not the unit's process.
  const env = process.send === undefined && programName !== undefined ? process.env : {};
  const notifyReady = notifySystemd({ env, log, health, lifecycle });
  // Before anything connects, and so released last: work in progress makes spans until it ends.
  if (programName !== undefined) await startTracing({ name: programName, env: process.env, log, lifecycle });
  // First, so that `/readyz` shows what the start waits for.
  if (httpPort !== undefined && definition.ownHttp === undefined) {
    await listen(createHttp({ lifecycle, log, health, metrics }), settings.status.host, httpPort);
  }
  redisMetrics(metrics, health);
  const self = selfMetrics(metrics);
  const takeLagMs = measureEventLoop(self.eventLoop, lifecycle);
  const redis = await connectRedis({ settings, log, health, lifecycle });
  checkWrites(redis, lifecycle);
  measureRoundTrips(self.redis, () => redis.client.ping(), lifecycle);
  const clock = await startClock(redis, lifecycle);
  const work = new LastWork(clock);
  new Registration({ kind: definition.name, redis, clock, log, lifecycle, health, work, takeLagMs });
  const buses = new Map<string | undefined, Promise<Bus>>();
  const name = `hm ${definition.name}`;
  const connect = (dedicated?: DedicatedConnection) => {
    const known = buses.get(dedicated?.name);
    if (known !== undefined) return known;
    const bus = connectBus({ mbus: settings.mbus, name, log, health, lifecycle, metrics, dedicated });
    buses.set(dedicated?.name, bus);
    if (dedicated !== undefined) return bus;
    return bus.then((connected) => {
      measureRoundTrips(busMetrics(metrics).roundTrip, () => connected.flush(), lifecycle);
      return connected;
    });
  };
  const context = { settings, log, clock, lifecycle, redis, connectBus: connect, metrics, health, work };
  await definition.start(httpPort === undefined ? context : { ...context, httpPort });
  if (lifecycle.stopping) return;
  health.set('process', undefined);
  logReady(log, definition.name, settings.logging);
  await notifyReady();
}

async function fail(error: unknown, { log }: Started, all: readonly Started[]): Promise<never> {
  const known =
    error instanceof LayoutError || error instanceof PortTakenError || error instanceof ConfigError;
  // These messages are complete without a stack.
  if (known) log.fatal({ event: 'start_failed' }, error.message);
  else log.fatal({ event: 'start_failed', err: error }, 'process not started');
  if (known) process.stderr.write(`${error.message}\n`);
  await stopInTime(all);
  process.exit(exitCodeOf(error));
}

/** Never resolves: the program exits when everything has stopped. */
function stopOnSignals(all: readonly Started[]): Promise<never> {
  const { log } = firstOf(all);
  const isStopping = () => all.some(({ lifecycle }) => lifecycle.stopping);
  const stop = (cause: string): void => {
    if (isStopping()) {
      log.warn({ event: 'stop_forced' }, `stop forced: ${cause} again`);
      process.exit(EXIT.failed);
    }
    log.info({ event: 'stopping' }, `stopping: ${cause}`);
    void stopInTime(all).then(() => {
      log.info({ event: 'stopped' }, 'stopped');
      process.exit(EXIT.done);
    });
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // A parent that started this process with a channel has exited: nothing else would stop it.
  if (process.send !== undefined) {
    process.on('disconnect', () => {
      if (!isStopping()) stop('the parent process is gone');
    });
  }
  return new Promise(() => {});
}

/** Work that is not finished in time is not lost: it is in Redis, and other processes take it over. */
async function stopInTime(all: readonly Started[]): Promise<void> {
  const stopOne = async ({ log, lifecycle }: Started) => {
    const onTimeout = () =>
      log.error({ event: 'stop_timed_out' }, `not stopped within ${STOP_TIMEOUT_MS} ms, exiting`);
    try {
      await withTimeout(lifecycle.stop(), { timeoutMs: STOP_TIMEOUT_MS, onTimeout });
    } catch (error) {
      log.error({ event: 'stop_failed', err: error }, 'not stopped cleanly');
    }
  };
  await Promise.all(all.map(stopOne));
}

/** After an unexpected error the state of the process is unknown, so it exits and is restarted. */
function exitOnUncaught(log: Logger): void {
  const exit = (error: unknown): never => {
    log.fatal({ event: 'uncaught_error', err: error }, 'unexpected error');
    process.exit(EXIT.failed);
  };
  process.on('uncaughtException', exit);
  process.on('unhandledRejection', exit);
}
