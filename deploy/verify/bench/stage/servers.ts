/** The servers of a stage: one Redis or a cluster of three, and a NATS that can be stopped and started again. */
import { join } from 'node:path';
import type { Lifecycle } from '../../../../common/runtime/lifecycle/lifecycle.ts';
import { packageRoot } from '../../../../common/runtime/package-root.ts';
import { startTestRedisCluster } from '../../../../common/testing/redis/cluster.ts';
import { startNatsServer, startRedisServer } from '../../../run/launcher/servers.ts';

export interface RedisServers {
  pids: readonly number[];
  /** The `redis` option of the configuration file. */
  config: object;
}

/** @param dir for its data and log */
export async function startSingle(dir: string, lifecycle: Lifecycle): Promise<RedisServers> {
  const { pid, url, stop } = await startRedisServer({ dir });
  lifecycle.onStop('redis-server', () => stop());
  return { pids: [pid], config: { url } };
}

/** Three nodes with the settings of `deploy/install/redis.conf`, which a single Redis has too. */
export async function startCluster(lifecycle: Lifecycle): Promise<RedisServers> {
  const more = ['--include', join(packageRoot, 'deploy', 'install', 'redis.conf')];
  const cluster = await startTestRedisCluster({ nodeTimeoutMs: 15_000, more });
  lifecycle.onStop('redis cluster', () => cluster.stop());
  const servers = cluster.masters.map(({ server }) => server);
  return { pids: servers.map(({ pid }) => pid), config: { cluster: servers.map(({ url }) => url) } };
}

export interface RestartableNats {
  url: string;
  /** Of the present or the latest server. */
  pid(): number;
  /** Ends the server: its clients lose their connections and try again. */
  stop(): Promise<void>;
  /** Starts a server on the same port. */
  start(): Promise<void>;
}

/** @param dir for its log */
export async function startNats(dir: string, lifecycle: Lifecycle): Promise<RestartableNats> {
  let server = await startNatsServer({ dir });
  lifecycle.onStop('nats-server', () => server.stop());
  const { url, port } = server;
  return {
    url,
    pid: () => server.pid,
    stop: () => server.stop(),
    async start() {
      server = await startNatsServer({ dir, port });
    },
  };
}
