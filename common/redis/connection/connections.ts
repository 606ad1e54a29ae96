import { Cluster, type Redis } from 'ioredis';
import type { Settings } from '../../config/settings.ts';
import type { Health } from '../../runtime/health.ts';
import type { Lifecycle } from '../../runtime/lifecycle/lifecycle.ts';
import type { Logger } from '../../runtime/log/log.ts';
import { logSecretProblem } from '../../runtime/secrets/rotating-secret.ts';
import { PeriodicTask } from '../../runtime/tasks/periodic-task.ts';
import { withTimeout } from '../../runtime/tasks/with-timeout.ts';
import { createKeys, type Keys } from '../keys.ts';
import { claimPrefix } from '../layout.ts';
import { defineScripts, type RedisClient, type Scripts } from '../scripts/scripts.ts';
import { openClient } from './client.ts';
import { warnOfEviction } from './eviction.ts';
import { FailoverDetector } from './failover-detector.ts';
import { ReplicaAck } from './replica-ack.ts';
import { ReplicaBackoff, WriteState } from './write-check.ts';

export type { RedisClient };

/** The connections of a process to Redis. */
export interface RedisConnections {
  /**
   * The connection for commands. Commands issued in one turn of the event loop are sent in one packet (in a cluster one for
   * each node), so issue many and await them together.
   */
  client: RedisClient;
  scripts: Scripts;
  keys: Keys;
  /** Opens a connection for blocking reads or for BullMQ. It is closed when the process stops. */
  dedicated(name: string): RedisClient;
  /** Slices may be on several nodes, so the keys of one script or command must be of one slice. */
  isCluster: boolean;
  /** Only in a cluster. */
  failover?: Pick<FailoverDetector, 'check'>;
  /** Only where a replica may take over: in a cluster or with sentinels. */
  replicas?: Pick<ReplicaAck, 'waitFor'>;
}

interface Options {
  settings: Pick<Settings, 'redis' | 'redisPrefix' | 'slices' | 'ccPartition' | 'bulkApi'>;
  log: Logger;
  health: Health;
  lifecycle: Lifecycle;
  /** Checks whose data the prefix holds; by default `claimPrefix`. For tests with several controllers on one Redis. */
  claim?: (client: RedisClient, settings: Options['settings']) => Promise<unknown>;
}

/** Longest wait between two tries to reconnect (ms). */
const MAX_RETRY_MS = 1000;

/**
 * Connects, and waits until Redis answers and its layout is checked.
 *
 * @throws LayoutError when Redis holds state of another layout or of another deployment
 */
export async function connectRedis(options: Options): Promise<RedisConnections & { writes: WriteState }> {
  const { settings, log, health, lifecycle, claim = claimPrefix } = options;
  health.set('redis', 'not connected yet');
  const writes = new WriteState(log, health);
  const onReplica = () => writes.set('READONLY');
  const client = lifecycle.own('redis', open(settings.redis, 'commands', { log, onReplica }), close);
  watch(client, writes, log, health, lifecycle);
  const keys = createKeys(settings.redisPrefix, settings.slices);
  await claim(client, settings);
  await warnOfEviction(client, log, health);
  const dedicated = (name: string) => {
    const connection = lifecycle.own(
      `redis ${name}`,
      open(settings.redis, 'blocking', { log, onReplica }),
      close,
    );
    connection.on('error', () => undefined); // `watch` on the main connection reports the same outage once
    return connection;
  };
  const scripts = defineScripts(client);
  return {
    client,
    keys,
    scripts,
    writes,
    isCluster: client instanceof Cluster,
    ...(client instanceof Cluster && { failover: new FailoverDetector(client, { scripts, keys }, log) }),
    ...(settings.redis?.kind !== 'single' && { replicas: new ReplicaAck(client) }),
    dedicated,
  };
}

/** A connection without a reply for this long is closed (ms): a host without power closes no TCP connection. */
const SOCKET_TIMEOUT_MS = 8_000;
/** The same where commands block, which they do for up to five seconds. */
const BLOCKING_SOCKET_TIMEOUT_MS = 15_000;
/** Between two tries of a command that a cluster refuses while it is resharded or fails over (ms). */
const CLUSTER_RETRY_MS = 50;
/** How often the slots of a cluster are read (ms), so that an idle process, too, notices a dead node. */
const SLOTS_REFRESH_MS = 5_000;

function open(
  where: Settings['redis'],
  use: 'commands' | 'blocking',
  { log, onReplica }: { log: Logger; onReplica: () => void },
): RedisClient {
  if (where === undefined)
    throw new Error('redis: expected redis.url, redis.cluster or redis.sentinel, found none');
  const backoff = new ReplicaBackoff();
  const retry = (times: number) => Math.max(Math.min(50 * times, MAX_RETRY_MS), backoff.waitMs);
  return openClient(where, {
    retry,
    onSecretProblem: logSecretProblem(log),
    connection: {
      maxRetriesPerRequest: null,
      retryStrategy: retry,
      keepAlive: 10_000,
      protocol: 2,
      socketTimeout: use === 'commands' ? SOCKET_TIMEOUT_MS : BLOCKING_SOCKET_TIMEOUT_MS,
      ...(where.kind !== 'cluster' && {
        // The server is a replica now: connecting again finds the new master, which gets the command. Without a new
        // master the commands wait, and so do the connections.
        reconnectOnError: (error: Error) => {
          if (!error.message.startsWith('READONLY')) return false;
          backoff.met();
          onReplica();
          return 2;
        },
      }),
    },
    cluster: {
      // A command is redirected until it arrives. It waits for a failover without a limit.
      maxRedirections: Number.MAX_SAFE_INTEGER,
      retryDelayOnMoved: CLUSTER_RETRY_MS,
      retryDelayOnTryAgain: CLUSTER_RETRY_MS,
      // While a cluster is down, commands wait for it. With the check, `connect()` to such a cluster would neither resolve
      // nor reject, and a BullMQ worker that awaits it would never take a job again.
      enableReadyCheck: false,
      slotsRefreshInterval: SLOTS_REFRESH_MS,
      slotsRefreshTimeout: SLOTS_REFRESH_MS,
    },
  });
}

/** Logs a lost connection once, and its return once. */
function watch(
  client: RedisClient,
  writes: WriteState,
  log: Logger,
  health: Health,
  lifecycle: Lifecycle,
): void {
  let isConnected = true;
  const onLost = (problem: string) => {
    if (lifecycle.stopping) return;
    health.set('redis', problem);
    if (isConnected)
      log.warn({ event: 'redis_disconnected', reason: problem }, 'redis disconnected; retrying');
    isConnected = false;
  };
  const onBack = () => {
    health.set('redis', undefined);
    if (!isConnected) log.info({ event: 'redis_reconnected' }, 'redis reconnected');
    isConnected = true;
  };
  client.on('error', (error: Error) => onLost(error.message));
  client.on('close', () => {
    // This process itself closes a connection to a replica, and has reported why.
    if (writes.refusal !== 'READONLY') onLost('connection closed');
  });
  if (client instanceof Cluster) watchNodes(client, lifecycle, onLost, onBack);
  else client.on('ready', onBack);
}

/** How often each master of a cluster gets a PING, and how long its reply may take (ms). */
const NODE_CHECK_MS = 1_000;

/** A cluster's client reports only the loss of all nodes. But without one master a part of the droplets is not available. */
function watchNodes(
  cluster: Cluster,
  lifecycle: Lifecycle,
  onLost: (problem: string) => void,
  onBack: () => void,
): void {
  const check = async () => {
    const addresses = new Set(cluster.slots.flatMap(([master]) => (master === undefined ? [] : [master])));
    const nodes = new Map(cluster.nodes('master').map((node) => [addressOf(node), node]));
    const problems = await Promise.all(
      [...addresses].map((address) => problemOf(address, nodes.get(address))),
    );
    const problem = problems.find((text) => text !== undefined);
    if (cluster.status !== 'ready') return;
    if (problem === undefined) onBack();
    else onLost(problem);
  };
  const checks = new PeriodicTask(NODE_CHECK_MS, check);
  cluster.on('ready', () => void checks.runNow());
  lifecycle.onStop('cluster checks', () => checks.cancel());
}

const addressOf = ({ options }: Redis) => `${options.host}:${options.port}`;

/** Why a master is not available; undefined: it answers. */
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
  // QUIT would wait for a connection.
  if (client.status !== 'ready') {
    client.disconnect();
    return;
  }
  await client.quit();
}
