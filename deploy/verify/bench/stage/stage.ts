import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import { pino } from 'pino';
import { stringify } from 'yaml';
import { loadConfig } from '../../../../common/config/load.ts';
import type { Settings } from '../../../../common/config/settings.ts';
import { openQueue } from '../../../../common/queues/queues.ts';
import { connectRedis, type RedisConnections } from '../../../../common/redis/connection/connections.ts';
import { Health } from '../../../../common/runtime/health.ts';
import { Lifecycle } from '../../../../common/runtime/lifecycle/lifecycle.ts';
import { hmProgram } from '../../../run/hm-program.ts';
import { type ChildName, type ProcessName, startChild } from '../../../run/launcher/child.ts';
import { freePort } from '../../../run/launcher/servers.ts';
import { type LoadProcess, startLoadProcess } from '../cloud/load-process.ts';
import {
  type CloudTasks,
  type ControllerTasks,
  DROPLETS_A_QUERY,
  type ReplierTasks,
  type SubscriberTasks,
} from '../cloud/protocol.ts';
import { CpuMeter } from '../measure/usage.ts';
import { startCluster, startNats, startSingle } from './servers.ts';

/** A health manager of real processes with real servers, and the load processes of a simulated cloud. */
export interface Stage {
  settings: Settings;
  redis: RedisConnections;
  cloud: LoadProcess<CloudTasks>;
  controller: LoadProcess<ControllerTasks>;
  /**
   * Starts one more copy of a process (`ingest`, then `ingest 2`, ...), or one of each in one Node process (`all`), and waits until it is
   * ready. `config` is for this copy alone.
   */
  start(name: ChildName, config?: Config): Promise<void>;
  /** Stops the copy that was started last, in order. */
  stop(name: ChildName): Promise<void>;
  /** Removes all data of Redis. */
  emptyRedis(): Promise<void>;
  /** Ends NATS: its clients lose their connections and try again. Heartbeats must have been stopped before. */
  stopNats(): Promise<void>;
  /** Starts NATS again, and waits until the load processes are connected. */
  startNats(): Promise<void>;
  /** The pids of the servers (`redis`, `nats`) and processes, by name, without the load processes. */
  pids(): ReadonlyMap<string, number>;
  /** Measures the CPU seconds of these from now on; of all if none is named. */
  meter(...names: string[]): CpuMeter;
  /** Starts a subscriber to heartbeats that discards them. */
  startSubscriber(): Promise<LoadProcess<SubscriberTasks>>;
  /** Starts a process that answers questions with constant replies. */
  startReplier(): Promise<LoadProcess<ReplierTasks>>;
  /** The number of starts in the queue. */
  waitingStarts(): Promise<number>;
  /** Where the HTTP server of the reporter listens, and its login. */
  reporterAt(): { url: string; user: string; password: string };
  /** The configuration file of a process, for a command. */
  configFile(name: ProcessName): string;
  /** A page of the reporter, with its login. @param path begins with `/` */
  page(path: string, signal?: AbortSignal): Promise<Response>;
  /** A metric of a process, summed over its labels and copies; 0 if it does not exist yet. */
  metric(process: ProcessName, name: string): Promise<number>;
  /** Several of them, of one moment in each copy. */
  metrics(process: ProcessName, names: readonly string[]): Promise<number[]>;
  close(): Promise<void>;
}

/** Further options of the configuration file. */
export type Config = { intervals?: Record<string, number> } & Record<string, unknown>;

export interface StageOptions {
  /** How many droplets the controller lists. */
  droplets: number;
  config?: Config;
  /** The processes (`analyzer`) that write a CPU profile when they end. */
  profile?: ReadonlySet<string>;
  /** On a Redis Cluster of three nodes instead of one Redis. */
  cluster?: boolean;
}

const LOGIN = { user: 'bench', password: 'bench' };
/** Variables that would override the generated configuration. */
const OVERRIDING = ['MBUS_URI', 'REDIS_URL', 'LOG_LEVEL', 'CLOUD_FOUNDRY_CONFIG_PATH'];

/** Starts the servers, the cloud and the controller; no process of the health manager runs yet. */
export async function startStage(options: StageOptions, signal: AbortSignal): Promise<Stage> {
  signal.throwIfAborted();
  const lifecycle = new Lifecycle({ stepMs: 15_000 });
  try {
    return await start(options, lifecycle);
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

async function start(options: StageOptions, lifecycle: Lifecycle): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-bench-'));
  lifecycle.onStop('folder', () => rmSync(dir, { recursive: true, force: true }));
  const redisServers = await (options.cluster
    ? startCluster(lifecycle)
    : startSingle(join(dir, 'redis'), lifecycle));
  const natsServer = await startNats(dir, lifecycle);
  const pids = new Map([
    ...redisServers.pids.map((pid, n) => [n === 0 ? 'redis' : `redis ${n + 1}`, pid] as const),
    ['nats', natsServer.pid()],
  ]);
  const controller = await startLoadProcess<ControllerTasks>(lifecycle, 'controller', {
    nats: natsServer.url,
  });
  const { port } = await controller.call('list', { droplets: options.droplets });
  const cloud = await startLoadProcess<CloudTasks>(lifecycle, 'cloud', { nats: natsServer.url });

  const configure = (name: string, own: Config = {}) => {
    const file = join(dir, `${name}.yml`);
    const { intervals, ...more } = { ...options.config, ...own };
    const config = {
      mbus: natsServer.url,
      redis: redisServers.config,
      bulk_api: { host: `http://127.0.0.1:${port}` },
      status: { port: 0, ...LOGIN },
      ...more,
      intervals: { ...options.config?.intervals, ...intervals },
    };
    writeFileSync(file, stringify(config));
    return file;
  };
  const { settings } = loadConfig({ file: configure('health_manager'), env: {}, cwd: dir });
  const log = pino({ level: 'silent' });
  const redis = await connectRedis({ settings, log, health: new Health(), lifecycle });
  const starts = openQueue(redis, lifecycle, log, 'starts');

  const ports = new Map<string, number>();
  const running = new Map<string, { stop(): Promise<void> }>();
  const logFile = createWriteStream(join(dir, 'processes.log'));
  const env = { ...process.env };
  for (const name of OVERRIDING) delete env[name];

  const copiesOf = (name: string) => [...running.keys()].filter((key) => key.split(' ')[0] === name);
  const metrics = async (name: ProcessName, names: readonly string[]): Promise<number[]> => {
    const texts = await Promise.all(copiesOf(name).map((key) => scrape(ports.get(key) as number)));
    return names.map((metric) => sumOf(texts.join('\n'), metric));
  };
  return {
    settings,
    redis,
    cloud,
    controller,
    async start(name, config) {
      const copies = copiesOf(name).length;
      const key = copies === 0 ? name : `${name} ${copies + 1}`;
      const httpPort = await freePort();
      let setReady = (_: boolean) => {};
      const ready = new Promise<boolean>((resolve) => {
        setReady = resolve;
      });
      const profile = options.profile?.has(key) ? ['--cpu-prof', '--cpu-prof-dir', process.cwd()] : [];
      const main = hmProgram;
      const child = await startChild({
        program: process.execPath,
        args: [...profile, main, name, '--config', configure(key, config), '--http-port', String(httpPort)],
        env,
        output: { stdout: logFile, stderr: logFile, format: (line) => line },
        onLine: (line) => line.includes('"event":"ready"') && setReady(true),
      });
      running.set(key, child);
      pids.set(key, child.pid);
      ports.set(key, httpPort);
      lifecycle.onStop(key, () => child.stop());
      void child.exited.then(() => setReady(false));
      if (!(await ready))
        throw new Error(`${key} ended before it was ready: ${tailOf(join(dir, 'processes.log'))}`);
    },
    async stop(name) {
      const key = copiesOf(name).at(-1);
      if (key === undefined) throw new Error(`no ${name} runs`);
      await running.get(key)?.stop();
      running.delete(key);
      pids.delete(key);
      ports.delete(key);
    },
    async emptyRedis() {
      const nodes = redis.client instanceof Cluster ? redis.client.nodes('master') : [redis.client];
      await Promise.all(nodes.map((node) => node.flushall()));
    },
    async stopNats() {
      pids.delete('nats');
      await natsServer.stop();
    },
    async startNats() {
      await natsServer.start();
      pids.set('nats', natsServer.pid());
      await cloud.call('awaitConnection', {});
    },
    pids: () => pids,
    meter: (...names) =>
      new CpuMeter(
        names.length === 0
          ? new Map(pids)
          : new Map([...pids].filter(([key]) => names.includes(key.split(' ')[0] as string))),
      ),
    startSubscriber: () =>
      startLoadProcess<SubscriberTasks>(lifecycle, 'subscriber', { nats: natsServer.url }),
    startReplier: () =>
      startLoadProcess<ReplierTasks>(lifecycle, 'replier', {
        nats: natsServer.url,
        replies: DROPLETS_A_QUERY,
      }),
    waitingStarts: () => starts.getJobCountByTypes('prioritized', 'waiting'),
    reporterAt: () => ({ url: `http://127.0.0.1:${ports.get('reporter')}/`, ...LOGIN }),
    configFile: (name) => join(dir, `${name}.yml`),
    page: (path, signal) => fetchWithLogin(ports.get('reporter') as number, path, signal),
    metric: async (name, metric) => (await metrics(name, [metric]))[0] as number,
    metrics,
    close: () => lifecycle.stop(),
  };
}

/** The last lines of a log, for an error: the folder of the log is removed with the stage. */
function tailOf(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
}

async function scrape(port: number): Promise<string> {
  return (await fetchWithLogin(port, '/metrics')).text();
}

/** The reporter requires the login of the configuration; the other processes ignore it. */
async function fetchWithLogin(port: number, path: string, signal?: AbortSignal): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`${LOGIN.user}:${LOGIN.password}`).toString('base64')}`;
  const url = `http://127.0.0.1:${port}${path}`;
  const reply = await fetch(url, { headers: { authorization }, ...(signal && { signal }) });
  if (!reply.ok) throw new Error(`${path} on port ${port}: expected 200, got ${reply.status}`);
  return reply;
}

/** The sum of the samples of a metric in Prometheus's text format. */
export function sumOf(text: string, metric: string): number {
  const sample = new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\S+)$`, 'gm');
  return [...text.matchAll(sample)].reduce((sum, [, value]) => sum + Number(value), 0);
}
