import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, Events, type NatsConnection } from 'nats';
import { destination, type Logger, pino } from 'pino';
import { stringify } from 'yaml';
import { Lifecycle } from '../../../common/runtime/lifecycle.ts';
import type { ProcessName } from '../../run/launcher/child.ts';
import { type Server, startNatsServer, startRedisServer } from '../../run/launcher/servers.ts';
import { type Copy, startCopy } from './copies.ts';
import { TcpProxy } from './proxy.ts';
import { INTERVALS, MASS_DELETE, MASS_LOSS, SLICES } from './settings.ts';

/** A server that may be killed and comes back on the same port, with the same data. */
export interface KeptServer {
  port: number;
  url: string;
  /** Undefined while it is not running. */
  pid(): number | undefined;
  kill(): Promise<void>;
  again(): Promise<void>;
}

/** Real servers and processes with proxies between; the cloud speaks to NATS directly. */
export interface Stage {
  dir: string;
  /** What truly happens and when, beside what the processes say: `truth.log`. */
  truth: Logger;
  copies: readonly Copy[];
  redis: KeptServer;
  nats: KeptServer;
  /** Between the sync processes and the controller. */
  controller: TcpProxy;
  bus: NatsConnection;
  /** Whether the cloud's own connection to NATS is there. */
  connected(): boolean;
  /** Starts all copies and waits until they serve. */
  startHealthManager(controllerPort: number): Promise<void>;
  close(): Promise<void>;
}

/** How many copies of each process run. */
export type Copies = readonly (readonly [ProcessName, number])[];

/** More of those that may lose what they have in hand; of the reporter, whose answers nobody judges here, one. */
const COPIES: Copies = [
  ['ingest', 3],
  ['sync', 2],
  ['analyzer', 2],
  ['nudger', 2],
  ['reporter', 1],
];
/** At first, on a busy machine too. */
const SERVE_WITHIN_MS = 60_000;
/** Sets up servers and proxies; nothing of the health manager runs yet. */
export async function setStage(copies = COPIES): Promise<Stage> {
  const lifecycle = new Lifecycle({ stepMs: 15_000 });
  try {
    return await set(lifecycle, copies);
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

async function set(lifecycle: Lifecycle, counts: Copies): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-chaos-'));
  const redisDir = join(dir, 'redis');
  const redis = await kept(lifecycle, 'redis-server', (port) => startRedisServer({ dir: redisDir, port }));
  const nats = await kept(lifecycle, 'nats-server', (port) => startNatsServer({ dir, port }));
  const bus = lifecycle.own(
    'nats connection',
    await connect({
      servers: nats.url,
      name: 'chaos-cloud',
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
  const copies: Copy[] = [];
  const logs = createWriteStream(join(dir, 'processes.log'));
  const truth = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
    destination({ dest: join(dir, 'truth.log'), sync: true }),
  );
  const stage = {
    ...{ dir, truth, copies, redis, nats, bus },
    connected: () => connected && !bus.isClosed(),
    controller: undefined as unknown as TcpProxy,
    async startHealthManager(controllerPort: number) {
      stage.controller = await proxyTo(controllerPort);
      const configFile = join(dir, 'health_manager.yml');
      writeFileSync(configFile, stringify(configOf(stage.controller.port)));
      mkdirSync(join(dir, 'clocks'));
      for (const [process, count] of counts) {
        for (let number = 1; number <= count; number++) {
          const name = `${process} ${number}`;
          const clockFile = join(dir, 'clocks', name);
          const [toRedis, toNats] = [await proxyTo(redis.port), await proxyTo(nats.port)];
          const ways = { redis: toRedis, nats: toNats, clockFile };
          const { copy, stop } = startCopy({ name, process, configFile, logs, ...ways });
          lifecycle.onStop(name, stop);
          copies.push(copy);
        }
      }
      await allServe(copies, dir);
    },
    close: () => lifecycle.stop(),
  };
  return stage;
}

async function allServe(copies: readonly Copy[], dir: string): Promise<void> {
  const late = delay(SERVE_WITHIN_MS, 'late' as const, { ref: false });
  if ((await Promise.race([Promise.all(copies.map((copy) => copy.serves())), late])) === 'late') {
    throw new Error(`not all processes serve within ${SERVE_WITHIN_MS / 1000} s: see ${dir}/processes.log`);
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

/** Removes what the run has written. */
export function sweep(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

/**
 * A port that no outgoing connection is given: a server that is away for a while must find its port free when it is back.
 * (Systems give out ports from 32768 or 49152 on.)
 */
async function lastingPort(): Promise<number> {
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

async function kept(
  lifecycle: Lifecycle,
  name: string,
  start: (port: number) => Promise<Server>,
): Promise<KeptServer> {
  const port = await lastingPort();
  let server: Server | undefined;
  let starting: Promise<void> | undefined;
  const again = () => {
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
  const gone = async (end: (running: Server) => Promise<unknown>) => {
    await starting;
    const ending = server;
    starting = undefined;
    server = undefined;
    if (ending !== undefined) await end(ending);
  };
  await again();
  lifecycle.onStop(name, () =>
    gone((running) => {
      process.kill(running.pid, 'SIGCONT');
      return running.stop();
    }),
  );
  return {
    port,
    url: (server as unknown as Server).url,
    pid: () => server?.pid,
    kill: () =>
      gone((running) => {
        process.kill(running.pid, 'SIGKILL');
        return running.exited;
      }),
    again,
  };
}
