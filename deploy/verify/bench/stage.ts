import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { stringify } from 'yaml';
import { loadConfig } from '../../../common/config/load.ts';
import type { Settings } from '../../../common/config/settings.ts';
import { openQueue } from '../../../common/queues/queues.ts';
import { connectRedis, type RedisConnections } from '../../../common/redis/connections.ts';
import { Health } from '../../../common/runtime/health.ts';
import { Lifecycle } from '../../../common/runtime/lifecycle.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { startTestRedisCluster } from '../../../common/testing/redis-cluster.ts';
import { hmProgram } from '../../run/hm-program.ts';
import { type ProcessName, startChild } from '../../run/launcher/child.ts';
import { freePort, startNatsServer, startRedisServer } from '../../run/launcher/servers.ts';
import { type LoadProcess, startLoadProcess } from './load-process.ts';
import type { CloudTasks, ControllerTasks, SubscriberTasks } from './protocol.ts';
import { CpuMeter } from './usage.ts';

/** A health manager of real processes with real servers, and a cloud that loads it. */
export interface Stage {
  settings: Settings;
  redis: RedisConnections;
  cloud: LoadProcess<CloudTasks>;
  controller: LoadProcess<ControllerTasks>;
  /** Starts one more copy of a process and waits until it serves; `ingest`, then `ingest 2`, ... `config`: for it alone. */
  start(name: ProcessName, config?: Config): Promise<void>;
  /** Ends the last started copy, in order. */
  stop(name: ProcessName): Promise<void>;
  /** Pids of servers (`redis`, `nats`) and processes, by name. Without the load. */
  pids(): ReadonlyMap<string, number>;
  /** Measures CPU seconds of these from now on; of all when none are named. */
  meter(...names: string[]): CpuMeter;
  /** Starts a subscriber to heartbeats that throws them away. */
  startSubscriber(): Promise<LoadProcess<SubscriberTasks>>;
  /** Starts in the queue. */
  waitingStarts(): Promise<number>;
  /** A figure of a process's `/metrics`, summed over its labels and copies; 0 where there is none yet. */
  metric(process: ProcessName, name: string): Promise<number>;
  close(): Promise<void>;
}

/** What a configuration says besides, as in the file. */
export type Config = { intervals?: Record<string, number> } & Record<string, unknown>;

export interface StageOptions {
  /** Droplets that the controller lists. */
  droplets: number;
  config?: Config;
  /** Processes by name (`analyzer`) that write a CPU profile when they end. */
  profile?: ReadonlySet<string>;
  /** On a Redis Cluster of three nodes instead of one Redis. */
  cluster?: boolean;
}

/** Variables that would win over the generated configuration. */
const OVERRULING = ['MBUS_URI', 'REDIS_URL', 'LOG_LEVEL', 'CLOUD_FOUNDRY_CONFIG_PATH'];

/** Servers, cloud and controller; no process of the health manager runs yet. */
export async function setStage(options: StageOptions, signal: AbortSignal): Promise<Stage> {
  signal.throwIfAborted();
  const lifecycle = new Lifecycle({ stepMs: 15_000 });
  try {
    return await set(options, lifecycle);
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

interface RedisServers {
  pids: readonly number[];
  /** As in the configuration file. */
  config: object;
}

async function startOne(dir: string, lifecycle: Lifecycle): Promise<RedisServers> {
  const { pid, url, stop } = await startRedisServer({ dir });
  lifecycle.onStop('redis-server', () => stop());
  return { pids: [pid], config: { url } };
}

/** Three nodes with the settings of `deploy/install/redis.conf`, as the one that is started alone. */
async function startCluster(lifecycle: Lifecycle): Promise<RedisServers> {
  const more = ['--include', join(packageRoot, 'deploy', 'install', 'redis.conf')];
  const cluster = await startTestRedisCluster({ nodeTimeoutMs: 15_000, more });
  lifecycle.onStop('redis cluster', () => cluster.stop());
  const servers = cluster.masters.map(({ server }) => server);
  return { pids: servers.map(({ pid }) => pid), config: { cluster: servers.map(({ url }) => url) } };
}

async function set(options: StageOptions, lifecycle: Lifecycle): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-bench-'));
  lifecycle.onStop('folder', () => rmSync(dir, { recursive: true, force: true }));
  const redisServers = await (options.cluster
    ? startCluster(lifecycle)
    : startOne(join(dir, 'redis'), lifecycle));
  const natsServer = await startNatsServer({ dir });
  lifecycle.onStop('nats-server', () => natsServer.stop());
  const pids = new Map([
    ...redisServers.pids.map((pid, n) => [n === 0 ? 'redis' : `redis ${n + 1}`, pid] as const),
    ['nats', natsServer.pid],
  ]);
  const controller = await startLoadProcess<ControllerTasks>(lifecycle, 'controller', {
    nats: natsServer.url,
  });
  const { port } = await controller.ask('list', { droplets: options.droplets });
  const cloud = await startLoadProcess<CloudTasks>(lifecycle, 'cloud', { nats: natsServer.url });

  const configure = (name: string, own: Config = {}) => {
    const file = join(dir, `${name}.yml`);
    const { intervals, ...more } = { ...options.config, ...own };
    const config = {
      mbus: natsServer.url,
      redis: redisServers.config,
      bulk_api: { host: `http://127.0.0.1:${port}` },
      status: { port: 0, user: 'bench', password: 'bench' },
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
  for (const name of OVERRULING) delete env[name];

  const copiesOf = (name: string) => [...running.keys()].filter((key) => key.split(' ')[0] === name);
  return {
    settings,
    redis,
    cloud,
    controller,
    async start(name, config) {
      const copies = copiesOf(name).length;
      const key = copies === 0 ? name : `${name} ${copies + 1}`;
      const httpPort = await freePort();
      let serves = (_: boolean) => {};
      const ready = new Promise<boolean>((resolve) => {
        serves = resolve;
      });
      const profile = options.profile?.has(key) ? ['--cpu-prof', '--cpu-prof-dir', process.cwd()] : [];
      const main = hmProgram;
      const child = await startChild({
        program: process.execPath,
        args: [...profile, main, name, '--config', configure(key, config), '--http-port', String(httpPort)],
        env,
        output: { stdout: logFile, stderr: logFile, format: (line) => line },
        onLine: (line) => line.includes('"event":"ready"') && serves(true),
      });
      running.set(key, child);
      pids.set(key, child.pid);
      ports.set(key, httpPort);
      lifecycle.onStop(key, () => child.stop());
      void child.exited.then(() => serves(false));
      if (!(await ready))
        throw new Error(`${key} ended before it served: ${tailOf(join(dir, 'processes.log'))}`);
    },
    async stop(name) {
      const key = copiesOf(name).at(-1);
      if (key === undefined) throw new Error(`no ${name} runs`);
      await running.get(key)?.stop();
      running.delete(key);
      pids.delete(key);
      ports.delete(key);
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
    waitingStarts: () => starts.getJobCountByTypes('prioritized', 'waiting'),
    async metric(name, metric) {
      const texts = await Promise.all(copiesOf(name).map((key) => scrape(ports.get(key) as number)));
      return sumOf(texts.join('\n'), metric);
    },
    close: () => lifecycle.stop(),
  };
}

/** The last lines of a log: its folder goes with the stage. */
function tailOf(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
}

/** The reporter wants the login that the configuration names; the others do not look. */
async function scrape(port: number): Promise<string> {
  const authorization = `Basic ${Buffer.from('bench:bench').toString('base64')}`;
  const reply = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization } });
  if (!reply.ok) throw new Error(`/metrics on port ${port}: expected 200, got ${reply.status}`);
  return reply.text();
}

/** The sum of a metric's samples in Prometheus's text format. */
export function sumOf(text: string, metric: string): number {
  const sample = new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\S+)$`, 'gm');
  return [...text.matchAll(sample)].reduce((sum, [, value]) => sum + Number(value), 0);
}
