import { Cluster, type Redis } from 'ioredis';
import type { Settings } from '../config/settings.ts';
import type { Health } from '../runtime/health.ts';
import type { Lifecycle } from '../runtime/lifecycle.ts';
import type { Logger } from '../runtime/log.ts';
import { PeriodicTask } from '../runtime/periodic-task.ts';
import { withTimeout } from '../runtime/with-timeout.ts';
import { openClient } from './client.ts';
import { FailoverDetector } from './failover-detector.ts';
import { createKeys, type Keys, LAYOUT_VERSION } from './keys.ts';
import { ReplicaAck } from './replica-ack.ts';
import { defineScripts, type RedisClient, type Scripts } from './scripts/scripts.ts';

export type { RedisClient };

/** What a process has of Redis. */
export interface RedisConnections {
  /**
   * The connection for commands. Commands that are issued together leave in one packet, in a cluster one a
   * node: so issue many and await them together, never one by one.
   */
  client: RedisClient;
  scripts: Scripts;
  keys: Keys;
  /** A connection of its own for blocking reads or for BullMQ; closed when the process stops. */
  dedicated(name: string): RedisClient;
  /** Slices may be on several nodes: the keys of one script or command are of one slice. */
  isCluster: boolean;
  /** Only in a cluster. */
  failover?: Pick<FailoverDetector, 'check'>;
  /** Only where a replica may take over. */
  replicas?: Pick<ReplicaAck, 'waitFor'>;
}

/** Redis holds state of another layout or another number of slices: the process must not start. */
export class LayoutError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'LayoutError';
  }
}

interface Options {
  settings: Pick<Settings, 'redis' | 'redisPrefix' | 'slices'>;
  log: Logger;
  health: Health;
  lifecycle: Lifecycle;
}

/** Longest wait between two tries to reconnect: Redis is back for us soon after it is back. */
const RETRY_AT_MOST_MS = 1000;

/**
 * Connects and waits until Redis answers and its layout is known to be ours.
 *
 * @throws LayoutError when Redis holds state of another layout or number of slices
 */
export async function connectRedis(options: Options): Promise<RedisConnections> {
  const { settings, log, health, lifecycle } = options;
  health.set('redis', 'not connected yet');
  const client = lifecycle.own('redis', open(settings.redis, 'commands'), close);
  watch(client, log, health, lifecycle);
  const keys = createKeys(settings.redisPrefix, settings.slices);
  await checkLayout(client, keys);
  const dedicated = (name: string) => {
    const connection = lifecycle.own(`redis ${name}`, open(settings.redis, 'blocking'), close);
    connection.on('error', () => undefined); // `watch` on the main connection reports the same outage once
    return connection;
  };
  const scripts = defineScripts(client);
  return {
    client,
    keys,
    scripts,
    isCluster: client instanceof Cluster,
    ...(client instanceof Cluster && { failover: new FailoverDetector(client, { scripts, keys }, log) }),
    ...(settings.redis?.kind !== 'single' && { replicas: new ReplicaAck(client) }),
    dedicated,
  };
}

/** A server that has not answered for so long is gone, whatever TCP says: a host without power sends no goodbye. */
const SILENT_AT_MOST_MS = 8_000;
/** Blocking commands wait for five seconds by their own will. */
const BLOCKING_SILENT_AT_MOST_MS = 15_000;
/** Between two tries of a command that a cluster in motion does not take. */
const CLUSTER_RETRY_MS = 50;
/** How often the nodes of a cluster are asked for their slots unasked: a dead one is noticed also by who is idle. */
const SLOTS_REFRESH_MS = 5_000;

function open(where: Settings['redis'], use: 'commands' | 'blocking'): RedisClient {
  if (where === undefined)
    throw new Error('redis: expected redis.url, redis.cluster or redis.sentinel, found none');
  const retry = (times: number) => Math.min(50 * times, RETRY_AT_MOST_MS);
  return openClient(where, {
    retry,
    connection: {
      maxRetriesPerRequest: null,
      retryStrategy: retry,
      keepAlive: 10_000,
      protocol: 2,
      socketTimeout: use === 'commands' ? SILENT_AT_MOST_MS : BLOCKING_SILENT_AT_MOST_MS,
      ...(where.kind !== 'cluster' && {
        // A master that became a replica: its successor is found by connecting anew, and gets the command.
        reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
      }),
    },
    cluster: {
      // A command is redirected until it arrives, and waits for a failover, however long.
      maxRedirections: Number.MAX_SAFE_INTEGER,
      retryDelayOnMoved: CLUSTER_RETRY_MS,
      retryDelayOnTryAgain: CLUSTER_RETRY_MS,
      // A cluster that is down when a client connects anew is waited for by the commands. With the check, `connect()`
      // is neither done nor failed then, and a worker of BullMQ that awaits it never takes a job again.
      enableReadyCheck: false,
      slotsRefreshInterval: SLOTS_REFRESH_MS,
      slotsRefreshTimeout: SLOTS_REFRESH_MS,
    },
  });
}

/** A lost connection is said once, and its return once. */
function watch(client: RedisClient, log: Logger, health: Health, lifecycle: Lifecycle): void {
  let away: string | undefined;
  const lost = (problem: string) => {
    if (lifecycle.stopping) return;
    health.set('redis', problem);
    if (away === undefined)
      log.warn({ event: 'redis_disconnected', reason: problem }, 'Redis is away; retrying until it is back');
    away = problem;
  };
  const back = () => {
    health.set('redis', undefined);
    if (away !== undefined) log.info({ event: 'redis_reconnected' }, 'Redis is back');
    away = undefined;
  };
  client.on('error', (error: Error) => lost(error.message));
  client.on('close', () => lost('connection closed'));
  if (client instanceof Cluster) watchNodes(client, lifecycle, lost, back);
  else client.on('ready', back);
}

/** How often the masters of a cluster are asked whether they are there, and how long they may take (ms). */
const NODE_CHECK_MS = 1_000;

/** A cluster's client tells of the loss of all nodes only. But while one master is away, so is a part of the droplets. */
function watchNodes(
  cluster: Cluster,
  lifecycle: Lifecycle,
  lost: (problem: string) => void,
  back: () => void,
): void {
  const check = async () => {
    const addresses = new Set(cluster.slots.flatMap(([master]) => (master === undefined ? [] : [master])));
    const nodes = new Map(cluster.nodes('master').map((node) => [addressOf(node), node]));
    const problems = await Promise.all(
      [...addresses].map((address) => problemOf(address, nodes.get(address))),
    );
    const problem = problems.find((text) => text !== undefined);
    if (cluster.status !== 'ready') return;
    if (problem === undefined) back();
    else lost(problem);
  };
  const checks = new PeriodicTask(NODE_CHECK_MS, check);
  cluster.on('ready', () => void checks.runNow());
  lifecycle.onStop('watch of the cluster', () => checks.cancel());
}

const addressOf = ({ options }: Redis) => `${options.host}:${options.port}`;

/** Undefined: it answers. */
async function problemOf(address: string, node: Redis | undefined): Promise<string | undefined> {
  if (node === undefined) return `no connection to ${address}`;
  const onTimeout = () => `${address} does not answer`;
  try {
    const answered = node.ping().then(() => undefined);
    return await withTimeout(answered, { timeoutMs: NODE_CHECK_MS, onTimeout });
  } catch (error) {
    return `${address}: ${(error as Error).message}`;
  }
}

async function close(client: RedisClient): Promise<void> {
  // A client that is not connected would wait for Redis to say goodbye.
  if (client.status !== 'ready') {
    client.disconnect();
    return;
  }
  await client.quit();
}

/** The first process fixes the layout and the number of slices; all later ones must agree. */
async function checkLayout(client: RedisClient, keys: Keys): Promise<void> {
  await client.hsetnx(keys.layout, 'version', LAYOUT_VERSION);
  await client.hsetnx(keys.layout, 'slices', keys.slices);
  const [version, slices] = await client.hmget(keys.layout, 'version', 'slices');
  if (version !== String(LAYOUT_VERSION)) {
    throw new LayoutError(
      `${keys.layout}: expected layout ${LAYOUT_VERSION}, found ${version}: this Redis was written by another version; give this one another redis.prefix or an empty Redis`,
    );
  }
  if (slices !== String(keys.slices)) {
    throw new LayoutError(
      `slices: expected ${slices}, as this Redis was set up with, got ${keys.slices}: set slices to ${slices}, or give this deployment another redis.prefix`,
    );
  }
}
