/** Clients for one server, a cluster, or the master that sentinels name. */
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { RedisSettings } from '../../config/settings.ts';
import type { OnSecretProblem } from '../../runtime/secrets/rotating-secret.ts';
import { tlsOptions } from '../../runtime/secrets/tls.ts';
import type { RedisClient } from '../scripts/scripts.ts';

export interface ClientBehaviour {
  /** Options of each connection. */
  connection: Omit<RedisOptions, 'replyMapping'>;
  /** Wait before the next try to reach any sentinel, or any node of a cluster (ms); null: no further try. */
  retry(times: number): number | null;
  /** Further options of a cluster's client. */
  cluster?: ClusterOptions;
  /** A file of `redis.tls` cannot be read any more. */
  onSecretProblem?: OnSecretProblem;
}

const SENTINEL_PORT = 26_379;

/**
 * A client. It begins to connect, unless the behaviour has `lazyConnect`.
 *
 * @throws Error when a file of `redis.tls` cannot be read or used
 */
export function openClient(where: RedisSettings, behaviour: ClientBehaviour): RedisClient {
  const { connection, retry, cluster, onSecretProblem = () => undefined } = behaviour;
  // ioredis asks it for its values at each connect, and so reads the files again.
  const tlsWhere = (isUrl: boolean) =>
    isUrl || where.tls !== undefined ? { tls: tlsOptions(where.tls, onSecretProblem) } : {};
  switch (where.kind) {
    case 'single':
      return sendInOnePacket(new Redis(where.url, { ...connection, ...tlsWhere(isTls(where.url)) }));
    case 'sentinel': {
      const { username, password } = loginOf(where.nodes);
      const { tls } = tlsWhere(where.nodes.some(isTls));
      const sentinels = where.login ?? { username, password };
      const client = new Redis({
        ...connection,
        name: where.name,
        sentinels: where.nodes.map((node) => {
          const { hostname, port } = new URL(node);
          // A URL has brackets around an IPv6 address, a socket does not.
          return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || SENTINEL_PORT) };
        }),
        sentinelRetryStrategy: retry,
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password }),
        ...(sentinels.username !== undefined && { sentinelUsername: sentinels.username }),
        ...(sentinels.password !== undefined && { sentinelPassword: sentinels.password }),
        ...(tls !== undefined && { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
      });
      return sendInOnePacket(client);
    }
    case 'cluster': {
      const { username, password } = loginOf(where.nodes);
      const { tls } = tlsWhere(where.nodes.some(isTls));
      const client = new Cluster(where.nodes, {
        ...cluster,
        // By default the client resolves the seeds' names, and then expects certificates for their addresses.
        ...(tls !== undefined && { dnsLookup: (host, callback) => callback(null, host) }),
        clusterRetryStrategy: retry,
        redisOptions: {
          ...connection,
          // The seeds give the other nodes by address only, without a login.
          ...(username !== undefined && { username }),
          ...(password !== undefined && { password }),
          ...(tls !== undefined && { tls }),
        },
      });
      return client.on('+node', sendInOnePacket);
    }
  }
}

const isTls = (url: string) => new URL(url).protocol === 'rediss:';

/** For all servers of the deployment: the login of the first URL that has one. */
function loginOf(nodes: readonly string[]): { username?: string; password?: string } {
  const urls = nodes.map((node) => new URL(node));
  const login = urls.find(({ username, password }) => username !== '' || password !== '');
  return {
    ...(login?.username ? { username: decodeURIComponent(login.username) } : {}),
    ...(login?.password ? { password: decodeURIComponent(login.password) } : {}),
  };
}

/**
 * Sends the commands of one turn of the event loop in one packet, because a packet costs more than the commands in it.
 *
 * The auto-pipelining of ioredis does so, too. But it allows one pipeline at a time, so a command waits for all that were
 * sent before it, and it copies every script's command into each pipeline.
 */
function sendInOnePacket(client: Redis): Redis {
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
