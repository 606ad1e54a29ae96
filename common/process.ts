/**
 * The way of every process: configuration -> dependencies -> start -> serve -> stop -> exit.
 *
 * Exit codes (contract: programs): 0 stopped as asked, 1 failed, 69 a port is not to be had,
 * 78 wrong configuration.
 */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Registry } from 'prom-client';
import { ConfigError, type LoadedConfig, loadConfig } from './config/load.ts';
import type { Settings } from './config/settings.ts';
import type { Bus } from './nats/bus.ts';
import { connectBus, type DedicatedConnection } from './nats/connect.ts';
import { type Clock, startClock } from './redis/clock.ts';
import { connectRedis, LayoutError, type RedisConnections } from './redis/connections.ts';
import { EXIT } from './runtime/exit-codes.ts';
import { Health } from './runtime/health.ts';
import { createHttp, listen, PortTakenError } from './runtime/http.ts';
import { Lifecycle } from './runtime/lifecycle.ts';
import { createLogger, type Logger, logReady, withoutLogins } from './runtime/log.ts';
import { busMetrics, createRegistry, vitalMetrics } from './runtime/metrics.ts';
import { measureEventLoop, measureRoundTrips } from './runtime/self-metrics.ts';
import { startTracing } from './tracing/tracing.ts';

export interface ProcessDefinition {
  name: 'ingest' | 'sync' | 'analyzer' | 'nudger' | 'reporter';
  /** It has an HTTP server of its own, at `httpPort` if that is given. */
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
  /** Waits while NATS is away. Every call gives the same connection: the usual one, or the dedicated one of that name. */
  connectBus(dedicated?: DedicatedConnection): Promise<Bus>;
  metrics: Registry;
  health: Health;
  /** `--http-port` */
  httpPort?: number;
}

export interface RunOptions {
  definition: ProcessDefinition;
  /** `--config` */
  configFile?: string | undefined;
  /** `--http-port` */
  httpPort?: number | undefined;
}

/** An orderly stop has 10 s; this is less by the time that it takes to go. */
const STOP_WITHIN_MS = 9_000;

/** The exit code that tells of an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError || error instanceof LayoutError) return EXIT.config;
  return error instanceof PortTakenError ? EXIT.unavailable : EXIT.failed;
}

/** Writes our pid; removed when this process exits, unless another one has written its own since. */
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
      // Someone removed it before us: that is all that was to be done.
    }
  });
}

/** @throws ConfigError also when no Redis is named: only the launcher can start one */
function configure({ configFile }: RunOptions): LoadedConfig {
  const loaded = loadConfig({ file: configFile, env: process.env, cwd: process.cwd() });
  if (loaded.settings.redis === undefined) {
    throw new ConfigError([
      `${path.basename(loaded.file)}: redis: expected redis.url, redis.cluster or redis.sentinel (or REDIS_URL), got none`,
    ]);
  }
  return loaded;
}

/** Runs a process to its end. Never returns: it exits. */
export async function runProcess(options: RunOptions): Promise<never> {
  const { definition } = options;
  let loaded: LoadedConfig;
  let log: Logger;
  try {
    loaded = configure(options);
    log = createLogger(definition.name, loaded.settings.logging);
    // Beside others, the launcher's own pid is the one to know.
    if (loaded.settings.pidFile !== undefined && process.send === undefined)
      writePidFile(loaded.settings.pidFile);
  } catch (error) {
    const lines = error instanceof ConfigError ? error.lines : [withoutLogins(String(error))];
    process.stderr.write(lines.map((line) => `${line}\n`).join(''));
    process.exit(exitCodeOf(error));
  }
  for (const warning of loaded.warnings) log.warn({ event: 'config_warning' }, warning);
  const lifecycle = new Lifecycle();
  const stopped = stopOnSignals(lifecycle, log);
  exitOnUncaught(log);
  try {
    await start(options, loaded.settings, log, lifecycle);
  } catch (error) {
    // What cannot connect because it is to stop has not failed.
    if (!lifecycle.stopping) await fail(error, lifecycle, log);
  }
  return stopped;
}

async function start(
  { definition, httpPort }: RunOptions,
  settings: Settings,
  log: Logger,
  lifecycle: Lifecycle,
): Promise<void> {
  const health = new Health();
  const metrics = createRegistry(definition.name);
  health.set('process', 'starting');
  // Before anything connects, and so released last: what is in hand makes spans to its end.
  await startTracing({ name: definition.name, env: process.env, log, lifecycle });
  // First, so that `/readyz` tells what the start waits for.
  if (httpPort !== undefined && definition.ownHttp === undefined) {
    await listen(createHttp({ lifecycle, log, health, metrics }), settings.status.host, httpPort);
  }
  const vitals = vitalMetrics(metrics);
  measureEventLoop(vitals.eventLoop, lifecycle);
  const redis = await connectRedis({ settings, log, health, lifecycle });
  measureRoundTrips(vitals.redis, () => redis.client.ping(), lifecycle);
  const clock = await startClock(redis, lifecycle);
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
  const context = { settings, log, clock, lifecycle, redis, connectBus: connect, metrics, health };
  await definition.start(httpPort === undefined ? context : { ...context, httpPort });
  if (lifecycle.stopping) return;
  health.set('process', undefined);
  logReady(log, definition.name, settings.logging);
}

async function fail(error: unknown, lifecycle: Lifecycle, log: Logger): Promise<never> {
  const known =
    error instanceof LayoutError || error instanceof PortTakenError || error instanceof ConfigError;
  // For our own words no stack is needed.
  if (known) log.fatal({ event: 'start_failed' }, error.message);
  else log.fatal({ event: 'start_failed', err: error }, 'the process could not start');
  if (known) process.stderr.write(`${error.message}\n`);
  await stopInTime(lifecycle, log);
  process.exit(exitCodeOf(error));
}

/** Never resolves: the process exits when it has stopped. */
function stopOnSignals(lifecycle: Lifecycle, log: Logger): Promise<never> {
  const onSignal = (why: string): void => {
    if (lifecycle.stopping) {
      log.warn({ event: 'stop_forced' }, `${why} again: not waiting any longer`);
      process.exit(EXIT.failed);
    }
    log.info({ event: 'stopping' }, `${why}: stopping`);
    void stopInTime(lifecycle, log).then(() => {
      log.info({ event: 'stopped' }, 'stopped');
      process.exit(EXIT.done);
    });
  };
  process.on('SIGTERM', () => onSignal('SIGTERM'));
  process.on('SIGINT', () => onSignal('SIGINT'));
  // Whoever started us with a channel is gone: nobody would stop us.
  if (process.send !== undefined) {
    process.on('disconnect', () => {
      if (!lifecycle.stopping) onSignal('the parent process is gone');
    });
  }
  return new Promise(() => {});
}

/** What could not be finished is not lost: it is in Redis, and other processes take it up. */
async function stopInTime(lifecycle: Lifecycle, log: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), STOP_WITHIN_MS);
  });
  try {
    const end = await Promise.race([lifecycle.stop(), late]);
    if (end === 'late')
      log.error({ event: 'stop_timed_out' }, `not stopped within ${STOP_WITHIN_MS} ms; going anyway`);
  } catch (error) {
    log.error({ event: 'stop_failed', err: error }, 'something did not stop cleanly');
  } finally {
    clearTimeout(timer);
  }
}

/** A state that nobody thought of: better started anew. */
function exitOnUncaught(log: Logger): void {
  const die = (error: unknown): never => {
    log.fatal({ event: 'uncaught_error', err: error }, 'unexpected error');
    process.exit(EXIT.failed);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}
