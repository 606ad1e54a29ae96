import type { Cluster } from 'ioredis';
import type { Logger } from '../runtime/log.ts';
import type { Keys } from './keys.ts';
import type { Scripts } from './scripts/scripts.ts';

/** A look is good for so long, unless a connection to a node was lost or made since (ms). */
const GOOD_FOR_MS = 500;

/**
 * Notices that a node of a cluster has taken over from another, or was started anew.
 *
 * Replication is asynchronous, so the new master may lack the last writes of its slots, while what was written at the
 * same time to other nodes is there: a DEA's digest says that its heartbeat is stored, and the droplet's record does not
 * have it. (One server, also with sentinels, goes back as a whole, to a state that it has been in.) And a master that
 * was cut off takes writes until it learns that it is a replica now; they are lost as well. So who notices either tells
 * the deployment that what is known is in doubt: see `detect_failover.lua`.
 */
export class FailoverDetector {
  readonly #cluster: Cluster;
  readonly #scripts: Pick<Scripts, 'detectFailover'>;
  readonly #keys: Keys;
  readonly #log: Logger;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(cluster: Cluster, scripts: Pick<Scripts, 'detectFailover'>, keys: Keys, log: Logger) {
    this.#cluster = cluster;
    this.#scripts = scripts;
    this.#keys = keys;
    this.#log = log;
    const changed = () => {
      this.#lookedMs = Number.NEGATIVE_INFINITY;
    };
    for (const event of ['+node', '-node', 'node error']) cluster.on(event, changed);
  }

  /** Resolves when a loss that has happened before is known to the whole deployment. */
  async check(): Promise<void> {
    if (performance.now() - this.#lookedMs < GOOD_FOR_MS) return;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #look(): Promise<void> {
    const beganMs = performance.now();
    const { failover, listening, deasDigest, syncState } = this.#keys;
    const masters = this.#cluster.nodes('master');
    // One that does not answer is looked at again when it does, or when another is in its place.
    const [infos, maps] = await Promise.all([
      Promise.all(masters.map((node) => node.info('replication').catch(() => ''))),
      Promise.all(masters.map((node) => node.cluster('NODES').catch(() => ''))),
    ]);
    const seen = new Set([...infos.flatMap(lineageOf), ...maps.flatMap((map) => rolesOf(String(map)))]);
    if (seen.size === 0) return;
    if ((await this.#scripts.detectFailover([failover, listening, deasDigest, syncState], [...seen])) === 1) {
      this.#log.warn(
        { event: 'redis_failover' },
        'a Redis node has taken over from another, or is new: everything is read and stored anew',
      );
    }
    this.#lookedMs = beganMs;
  }
}

/** The replication id of a master, from its `INFO replication`. */
function lineageOf(info: string): string[] {
  const id = /^master_replid:(\w+)/m.exec(info)?.[1];
  return id !== undefined && info.includes('role:master') ? [id] : [];
}

/** Masters (also those that fail), and the replicas that are there, from `CLUSTER NODES`. */
function rolesOf(map: string): string[] {
  return map.split('\n').flatMap((line) => {
    const [id, , flags = ''] = line.split(' ');
    const roles = flags.split(',');
    if (!id) return [];
    if (roles.includes('master')) return [`master ${id}`];
    return roles.includes('slave') && !roles.includes('fail') ? [`replica ${id}`] : [];
  });
}
