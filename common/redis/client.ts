/** How a client finds Redis: one server, a cluster, or the master that sentinels name. */
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { RedisSettings } from '../config/settings.ts';
import type { RedisClient } from './scripts/scripts.ts';

export interface ClientBehaviour {
  /** Of each connection. */
  connection: Omit<RedisOptions, 'replyMapping'>;
  /** Wait before the next try to reach any sentinel, or any node of a cluster (ms); null: do not try again. */
  retry(times: number): number | null;
  /** Of a cluster's client besides. */
  cluster?: ClusterOptions;
}

const SENTINEL_PORT = 26_379;

/** A client; it begins to connect unless the behaviour says otherwise. */
export function openClient(where: RedisSettings, behaviour: ClientBehaviour): RedisClient {
  const { connection, retry, cluster } = behaviour;
  switch (where.kind) {
    case 'single':
      return writeTogether(new Redis(where.url, connection));
    case 'sentinel': {
      const { tls, username, password } = accessOf(where.nodes);
      const client = new Redis({
        ...connection,
        name: where.name,
        sentinels: where.nodes.map((node) => {
          const { hostname, port } = new URL(node);
          return { host: hostname, port: Number(port || SENTINEL_PORT) };
        }),
        sentinelRetryStrategy: retry,
        ...(username !== undefined && { username, sentinelUsername: username }),
        ...(password !== undefined && { password, sentinelPassword: password }),
        ...(tls && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
      });
      return writeTogether(client);
    }
    case 'cluster': {
      const { tls, username, password } = accessOf(where.nodes);
      const client = new Cluster(where.nodes, {
        ...cluster,
        clusterRetryStrategy: retry,
        redisOptions: {
          ...connection,
          // The nodes that the seeds tell of are known by address only.
          ...(username !== undefined && { username }),
          ...(password !== undefined && { password }),
          ...(tls && { tls: {} }),
        },
      });
      return client.on('+node', writeTogether);
    }
  }
}

/** The login of the first URL that has one, and whether TLS is asked for: for all servers of the deployment. */
function accessOf(nodes: readonly string[]): { tls: boolean; username?: string; password?: string } {
  const urls = nodes.map((node) => new URL(node));
  const login = urls.find(({ username, password }) => username !== '' || password !== '');
  return {
    tls: urls.some(({ protocol }) => protocol === 'rediss:'),
    ...(login?.username ? { username: decodeURIComponent(login.username) } : {}),
    ...(login?.password ? { password: decodeURIComponent(login.password) } : {}),
  };
}

/**
 * Commands of one turn of the event loop leave in one packet: a packet costs more than the commands in it.
 *
 * ioredis's own auto-pipelining does that too, but lets only one pipeline be under way, so that a command waits for
 * all that were sent before it, and copies every script's command into each pipeline.
 */
function writeTogether(client: Redis): Redis {
  return client.on('connect', () => {
    const { stream } = client;
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    let corked = false;
    stream.write = (...args: unknown[]) => {
      if (!corked) {
        corked = true;
        stream.cork();
        setImmediate(() => {
          corked = false;
          stream.uncork();
        });
      }
      return write(...args);
    };
  });
}
