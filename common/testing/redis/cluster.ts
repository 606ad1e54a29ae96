import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { RedisSettings } from '../../config/settings.ts';
import { freePort, startTestRedis, type TestRedis } from './server.ts';

/** Slots of a Redis Cluster. */
const SLOTS = 16_384;
/** Longest wait until every node reports that the cluster is complete (ms). New masters wait two seconds before they serve. */
const COMPLETE_WITHIN_MS = 20_000;

/** One node of a test's cluster. */
export interface ClusterNode {
  server: TestRedis;
  /** A connection of the test to this node only. */
  admin: Redis;
  /** The id of the node (`CLUSTER MYID`). */
  id: string;
  /** The node stops reading and answering, and its connections stay open: like a host that lost its network. */
  pause(): void;
  resume(): void;
  /** SIGKILL: writes that were not replicated are lost. */
  kill(): Promise<void>;
}

/** A real Redis Cluster for one test: its nodes are on free loopback ports. */
export interface TestRedisCluster {
  settings: RedisSettings;
  /** In the order of their slots. */
  masters: ClusterNode[];
  /** `replicas[n]` is the replica of `masters[n]`; empty without replicas. */
  replicas: ClusterNode[];
  stop(): Promise<void>;
}

export interface ClusterOptions {
  masters?: number;
  /** One replica for each master. */
  replicas?: boolean;
  /** Silence after which a node counts as failing, so its replica takes over (ms). */
  nodeTimeoutMs?: number;
  /** Further options of redis-server, for every node. */
  more?: readonly string[];
}

/** Starts a cluster and waits until each node serves and knows all others. */
export async function startTestRedisCluster(options: ClusterOptions = {}): Promise<TestRedisCluster> {
  const { masters: count = 3, replicas = false, nodeTimeoutMs = 1_500, more = [] } = options;
  const nodes: ClusterNode[] = [];
  const stop = async () => {
    for (const { admin } of nodes) admin.disconnect();
    await Promise.all(nodes.map(({ server }) => server.stop()));
  };
  try {
    for (let n = 0; n < (replicas ? 2 : 1) * count; n++) nodes.push(await startNode(nodeTimeoutMs, more));
    const masters = nodes.slice(0, count);
    await Promise.all(masters.map(({ admin }, n) => giveSlots(admin, n, count)));
    for (const [n, { admin }] of nodes.entries()) await admin.cluster('SET-CONFIG-EPOCH', n + 1);
    const first = nodes[0] as ClusterNode;
    for (const { server } of nodes.slice(1)) await meet(first.admin, server);
    await until('all nodes know each other', async () => {
      const known = await Promise.all(nodes.map(({ admin }) => infoOf(admin, 'cluster_known_nodes')));
      return known.every((number) => number === String(nodes.length));
    });
    await Promise.all(
      nodes.slice(count).map(({ admin }, n) => admin.cluster('REPLICATE', (masters[n] as ClusterNode).id)),
    );
    await until('the cluster serves', async () => {
      const states = await Promise.all(nodes.map(({ admin }) => infoOf(admin, 'cluster_state')));
      return states.every((state) => state === 'ok');
    });
    if (replicas) {
      await until('the replicas follow', async () => {
        const infos = await Promise.all(nodes.slice(count).map(({ admin }) => admin.info('replication')));
        return infos.every((info) => info.includes('master_link_status:up'));
      });
    }
    const urls = masters.map(({ server }) => server.url);
    return {
      settings: { kind: 'cluster', nodes: urls },
      masters,
      replicas: nodes.slice(count),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startNode(nodeTimeoutMs: number, more: readonly string[]): Promise<ClusterNode> {
  const bus = await freePort();
  const server = await startTestRedis(undefined, [
    '--cluster-enabled',
    'yes',
    '--cluster-port',
    `${bus}`,
    '--cluster-node-timeout',
    `${nodeTimeoutMs}`,
    ...more,
  ]);
  const admin = new Redis(server.url, { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  admin.on('error', () => undefined); // the test ends nodes
  const id = (await admin.cluster('MYID')) as string;
  buses.set(server, bus);
  return {
    server,
    admin,
    id,
    pause: () => void process.kill(server.pid, 'SIGSTOP'),
    resume: () => void process.kill(server.pid, 'SIGCONT'),
    async kill() {
      admin.disconnect();
      await server.stop();
    },
  };
}

const buses = new WeakMap<TestRedis, number>();

async function meet(admin: Redis, server: TestRedis): Promise<void> {
  await admin.call('CLUSTER', 'MEET', '127.0.0.1', `${server.port}`, `${buses.get(server)}`);
}

async function giveSlots(admin: Redis, n: number, count: number): Promise<void> {
  const [from, to] = [Math.floor((SLOTS * n) / count), Math.floor((SLOTS * (n + 1)) / count) - 1];
  await admin.call('CLUSTER', 'ADDSLOTSRANGE', `${from}`, `${to}`);
}

async function infoOf(admin: Redis, name: string): Promise<string | undefined> {
  const info = (await admin.cluster('INFO')) as string;
  return new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1];
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const giveUpMs = performance.now() + COMPLETE_WITHIN_MS;
  while (!(await condition())) {
    if (performance.now() > giveUpMs)
      throw new Error(`Redis Cluster: ${what}: not within ${COMPLETE_WITHIN_MS} ms`);
    await delay(20);
  }
}

/** Keys that one step of a migration moves. */
const KEYS_AT_ONCE = 50;

/** Moves a slot with all its keys to another master, as `redis-cli --cluster reshard` does, while clients go on. */
export async function migrateSlot(
  cluster: Pick<TestRedisCluster, 'masters' | 'replicas'>,
  slot: number,
  from: ClusterNode,
  to: ClusterNode,
): Promise<void> {
  await to.admin.call('CLUSTER', 'SETSLOT', `${slot}`, 'IMPORTING', from.id);
  await from.admin.call('CLUSTER', 'SETSLOT', `${slot}`, 'MIGRATING', to.id);
  for (;;) {
    const keys = (await from.admin.cluster('GETKEYSINSLOT', slot, KEYS_AT_ONCE)) as string[];
    if (keys.length === 0) break;
    const { port } = to.server;
    await from.admin.call('MIGRATE', '127.0.0.1', `${port}`, '', '0', '5000', 'KEYS', ...keys);
  }
  for (const { admin } of [to, from]) await admin.call('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', to.id);
  for (const node of cluster.masters) {
    if (node !== to && node !== from) await node.admin.call('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', to.id);
  }
  // A node that takes a slot takes the epoch after the highest one it knows. Two that do so at once would conflict.
  await until('all nodes know of the move', async () => {
    const nodes = [...cluster.masters, ...cluster.replicas];
    const epochs = await Promise.all(nodes.map(({ admin }) => infoOf(admin, 'cluster_current_epoch')));
    return new Set(epochs).size === 1;
  });
}
