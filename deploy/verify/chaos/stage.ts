import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, Events, type NatsConnection } from 'nats';
import { destination, type Logger, pino } from 'pino';
import { stringify } from 'yaml';
import { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import type { ProcessName } from '../../run/launcher/child.ts';
import { type Server, startNatsServer, startRedisServer } from '../../run/launcher/servers.ts';
import { type ProcessCopy, startCopy } from './copies.ts';
import { CLOUD_LOGIN, type NatsLimits, SERVER_NAME, writeNatsConfig } from './nats-config.ts';
import { TcpProxy } from './proxy.ts';
import { INTERVALS, MASS_DELETE, MASS_LOSS, SLICES } from './settings.ts';

/** A server that can be killed and restarted on the same port with the same data. */
export interface RestartableServer {
  port: number;
  url: string;
  /** Undefined while it is not running. */
  pid(): number | undefined;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** Real servers and processes with proxies between them. The cloud connects to NATS without a proxy. */
export interface Stage {
  dir: string;
  /** The log of true events and their times, `truth.log`, beside the logs of the processes. */
  truth: Logger;
  copies: readonly ProcessCopy[];
  redis: RestartableServer;
  nats: RestartableServer;
  /** What NATS denies and lacks. `denied` applies at once, `withoutHeaders` from the next start. */
  limitNats(limits: Partial<NatsLimits>): void;
  /** @throws Error when NATS has refused a configuration */
  checkNatsLimits(): void;
  /** Whether messages have headers. */
  hasHeaders(): boolean;
  /** The disk of the log file takes no more lines, or takes them again. */
  fillLogDisk(full: boolean): void;
  /** The proxy between the sync processes and the controller. */
  controller: TcpProxy;
  bus: NatsConnection;
  /** Whether the cloud's own connection to NATS is up. */
  connected(): boolean;
  /** Starts all copies and waits until they are ready. */
  startHealthManager(controllerPort: number): Promise<void>;
  /**
   * Starts processes of another deployment on the same Redis and NATS, without proxies.
   *
   * @param changes of the configuration
   * @returns a function that stops them
   */
  startSecond(name: string, changes: object, processes: readonly ProcessName[]): () => Promise<void>;
  close(): Promise<void>;
}

/** How many copies of each process run. */
export type Copies = readonly (readonly [ProcessName, number])[];

/** More copies of the processes that can lose work in hand, and one reporter, whose answers this run does not check. */
const COPIES: Copies = [
  ['ingest', 3],
  ['sync', 2],
  ['analyzer', 2],
  ['nudger', 2],
  ['reporter', 1],
];
/** A file that takes no line: each write fails as on a full disk. */
const FULL_DISK = '/dev/full';
/** For the first start, also on a busy machine. */
const READY_WITHIN_MS = 60_000;

/** For the handshake of the cloud's own connection. */
const HANDSHAKE_MS = 10_000;
/** Seeds that run side by side pick free ports at the same time, so one may get the port that another has picked for its NATS. */
const MAX_STARTS = 4;

/**
 * Starts the servers; no process of the health manager runs yet.
 *
 * @param logsTo a file, whose disk may be filled, or stdout, where `ProcessCopy.errors` are found
 */
export async function startStage(
  copies = COPIES,
  logsTo: 'file' | 'stdout' = 'file',
  attempt = 1,
): Promise<Stage> {
  const lifecycle = new Lifecycle({ stepMs: 15_000 });
  try {
    return await start(lifecycle, copies, logsTo);
  } catch (error) {
    await lifecycle.stop();
    if (attempt === MAX_STARTS) throw error;
    return startStage(copies, logsTo, attempt + 1);
  }
}

async function start(lifecycle: Lifecycle, counts: Copies, logsTo: 'file' | 'stdout'): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-chaos-'));
  const redisDir = join(dir, 'redis');
  const redis = await startRestartable(lifecycle, 'redis-server', (port) =>
    startRedisServer({ dir: redisDir, port }),
  );
  const natsConfig = join(dir, 'nats.conf');
  let natsLimits: NatsLimits = { denied: [], withoutHeaders: false };
  writeNatsConfig(natsConfig, natsLimits);
  const startedNats = await startRestartable(lifecycle, 'nats-server', (port) =>
    startNatsServer({ dir, port, configFile: natsConfig, serverName: SERVER_NAME }),
  );
  const reloadNats = () => {
    const pid = startedNats.pid();
    if (pid !== undefined) process.kill(pid, 'SIGHUP');
  };
  const nats: RestartableServer = {
    ...startedNats,
    async restart() {
      await startedNats.restart();
      // Its configuration may have changed after it was read and before the server had a pid.
      reloadNats();
    },
  };
  const bus = lifecycle.own(
    'nats connection',
    await connect({
      servers: nats.url,
      ...CLOUD_LOGIN,
      name: 'chaos-cloud',
      timeout: HANDSHAKE_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      reconnectJitter: 50,
    }),
    (open) => open.close(),
  );
  let connected = true;
  void (async () => {
    for await (const { type } of bus.status()) {
      if (type === Events.Disconnect) connected = false;
      if (type === Events.Reconnect) connected = true;
    }
  })();
  const proxyTo = async (port: number) =>
    lifecycle.own('proxy', await TcpProxy.start(port), (proxy) => proxy.close());
  const copies: ProcessCopy[] = [];
  const logs = createWriteStream(join(dir, 'processes.log'), { flags: 'a' });
  const truth = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
    destination({ dest: join(dir, 'truth.log'), sync: true }),
  );
  const logLink = join(dir, 'health-manager.log');
  const logging = logsTo === 'file' ? { logging: { file: logLink } } : {};
  const stage = {
    ...{ dir, truth, copies, redis, nats, bus },
    fillLogDisk(full: boolean) {
      symlinkSync(full ? FULL_DISK : join(dir, 'processes.log'), `${logLink}.next`);
      renameSync(`${logLink}.next`, logLink);
    },
    connected: () => connected && !bus.isClosed(),
    limitNats(limits: Partial<NatsLimits>) {
      natsLimits = { ...natsLimits, ...limits };
      writeNatsConfig(natsConfig, natsLimits);
      if (limits.denied !== undefined) reloadNats();
    },
    checkNatsLimits() {
      const refused = /^.*Failed to reload.*$/m.exec(readFileSync(join(dir, 'nats-server.log'), 'utf8'));
      if (refused !== null)
        throw new Error(`nats-server: expected that it takes its configuration, found ${refused[0]}`);
    },
    hasHeaders: () => !natsLimits.withoutHeaders,
    controller: undefined as unknown as TcpProxy,
    async startHealthManager(controllerPort: number) {
      stage.controller = await proxyTo(controllerPort);
      const configFile = join(dir, 'health_manager.yml');
      stage.fillLogDisk(false);
      writeFileSync(configFile, stringify({ ...configOf(stage.controller.port), ...logging }));
      mkdirSync(join(dir, 'clocks'));
      for (const [process, count] of counts) {
        for (let number = 1; number <= count; number++) {
          const name = `${process} ${number}`;
          const clockFile = join(dir, 'clocks', name);
          const [toRedis, toNats] = [await proxyTo(redis.port), await proxyTo(nats.port)];
          const proxies = { redis: toRedis, nats: toNats, clockFile };
          const { copy, stop } = startCopy({ name, process, configFile, logs, ...proxies });
          lifecycle.onStop(name, stop);
          copies.push(copy);
        }
      }
      await allReady(copies, dir);
    },
    startSecond(name: string, changes: object, processes: readonly ProcessName[]) {
      const configFile = join(dir, `${name}.yml`);
      writeFileSync(configFile, stringify({ ...configOf(stage.controller.port), ...logging, ...changes }));
      const clockFile = join(dir, 'clocks', name);
      const [toRedis, toNats] = [{ port: redis.port }, { port: nats.port }] as unknown as [
        TcpProxy,
        TcpProxy,
      ];
      const proxies = { redis: toRedis, nats: toNats, clockFile };
      const started = processes.map((process) => startCopy({ name, process, configFile, logs, ...proxies }));
      const stop = async () => void (await Promise.all(started.map((one) => one.stop())));
      lifecycle.onStop(name, stop);
      return stop;
    },
    close: () => lifecycle.stop(),
  };
  return stage;
}

async function allReady(copies: readonly ProcessCopy[], dir: string): Promise<void> {
  const late = delay(READY_WITHIN_MS, 'late' as const, { ref: false });
  if ((await Promise.race([Promise.all(copies.map((copy) => copy.ready())), late])) === 'late') {
    throw new Error(
      `not all processes are ready within ${READY_WITHIN_MS / 1000} s: see ${dir}/processes.log`,
    );
  }
}

function configOf(controllerPort: number): object {
  return {
    bulk_api: { host: `http://127.0.0.1:${controllerPort}`, batch_size: 100 },
    status: { port: 0, user: 'chaos', password: 'chaos' },
    intervals: INTERVALS,
    mass_loss: MASS_LOSS,
    mass_delete: MASS_DELETE,
    slices: SLICES,
  };
}

/** Removes the logs and data of a run. */
export function removeLogs(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

/**
 * A free port outside the range of outgoing connections (32768 or 49152 and up), so that a killed server finds its port
 * free when it restarts.
 */
async function reservedPort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) await new Promise((resolve) => server.close(resolve));
  return free;
}

async function startRestartable(
  lifecycle: Lifecycle,
  name: string,
  start: (port: number) => Promise<Server>,
): Promise<RestartableServer> {
  const port = await reservedPort();
  let server: Server | undefined;
  let starting: Promise<void> | undefined;
  const restart = () => {
    starting ??= start(port).then(
      (started) => {
        server = started;
      },
      (error: unknown) => {
        starting = undefined;
        throw error;
      },
    );
    return starting;
  };
  const end = async (how: (running: Server) => Promise<unknown>) => {
    await starting;
    const ending = server;
    starting = undefined;
    server = undefined;
    if (ending !== undefined) await how(ending);
  };
  await restart();
  lifecycle.onStop(name, () =>
    end((running) => {
      process.kill(running.pid, 'SIGCONT');
      return running.stop();
    }),
  );
  return {
    port,
    url: (server as unknown as Server).url,
    pid: () => server?.pid,
    kill: () =>
      end((running) => {
        process.kill(running.pid, 'SIGKILL');
        return running.exited;
      }),
    restart,
  };
}
