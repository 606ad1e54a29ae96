import type { Cluster } from 'ioredis';
import type { Logger } from '../../runtime/log/log.ts';
import { singleFlight } from '../../runtime/tasks/single-flight.ts';
import { detectFailover } from '../scripts/fleet/detect-failover.ts';
import type { ScriptAccess } from '../scripts/scripts.ts';

/** How long the result of a check stays valid, unless a connection to a node was lost or made since (ms). */
const VALID_MS = 500;

/**
 * Notices that a node of a cluster has taken over from another, or was restarted.
 *
 * Replication is asynchronous, so a new master may lack the last writes of its slots, while writes made at the same time
 * to other nodes are there. Then a DEA's digest claims that its heartbeat is stored, and the droplet's record lacks it.
 * (A single server, also with sentinels, goes back as a whole, to a state that it was in.) A master that was cut off also
 * takes writes until it learns that it is a replica now; these are lost as well. The process that notices either one
 * marks the stored data as suspect for the whole deployment: see `detect_failover.lua`.
 */
export class FailoverDetector {
  readonly #cluster: Cluster;
  readonly #redis: ScriptAccess;
  readonly #log: Logger;
  #checkedMs = Number.NEGATIVE_INFINITY;
  readonly #compare = singleFlight(() => this.#compareServers());

  constructor(cluster: Cluster, redis: ScriptAccess, log: Logger) {
    this.#cluster = cluster;
    this.#redis = redis;
    this.#log = log;
    const changed = () => {
      this.#checkedMs = Number.NEGATIVE_INFINITY;
    };
    for (const event of ['+node', '-node', 'node error']) cluster.on(event, changed);
  }

  /** Resolves when a loss that happened before this call is known to the whole deployment. */
  async check(): Promise<void> {
    if (performance.now() - this.#checkedMs < VALID_MS) return;
    await this.#compare();
  }

  async #compareServers(): Promise<void> {
    const beganMs = performance.now();
    const nodes = this.#cluster.nodes('master');
    // A node that does not answer is compared when it does, or when another is in its place.
    const [infos, maps] = await Promise.all([
      Promise.all(nodes.map((node) => node.info('replication').catch(() => ''))),
      Promise.all(nodes.map((node) => node.cluster('NODES').catch(() => ''))),
    ]);
    const replicationIds = new Set(infos.flatMap(replicationIdOf));
    const [masters, replicas] = [new Set<string>(), new Set<string>()];
    for (const map of maps) addNodes(String(map), masters, replicas);
    if (replicationIds.size + masters.size + replicas.size === 0) return;
    if ((await detectFailover(this.#redis, { replicationIds, masters, replicas })) === 'changed') {
      this.#log.warn(
        { event: 'redis_failover' },
        'Redis failover: a node has taken over from another or is new; everything is read and stored again',
      );
    }
    this.#checkedMs = beganMs;
  }
}

/** The replication id of a master, from its `INFO replication`. */
function replicationIdOf(info: string): string[] {
  const id = /^master_replid:(\w+)/m.exec(info)?.[1];
  return id !== undefined && info.includes('role:master') ? [id] : [];
}

/** Adds the node ids of `CLUSTER NODES`: of masters, also those that fail, and of replicas that do not. */
function addNodes(map: string, masters: Set<string>, replicas: Set<string>): void {
  for (const line of map.split('\n')) {
    const [id, , flags = ''] = line.split(' ');
    const roles = flags.split(',');
    if (!id) continue;
    if (roles.includes('master')) masters.add(id);
    else if (roles.includes('slave') && !roles.includes('fail')) replicas.add(id);
  }
}
