import type { DeaLiveness, Instance } from '../../common/model/droplet.ts';
import type { Deas } from '../../common/policy/fleet/liveness.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { decodeLiveness } from '../../common/redis/fleet/dea-liveness.ts';

/** With more DEAs than this all are forgotten; the memory of one is some 300 bytes. */
const MAX_DEAS = 50_000;
/** DEAs of one read beyond those that are needed: Redis takes a tenth of a millisecond for them. */
const MORE_AT_ONCE = 500;

/**
 * The latest heartbeats of DEAs as they were last read. The time of a DEA's heartbeat only grows. So one that was read proves that
 * its DEA is heard until `droplet_lost` after it, without another read; only what does not prove it is read again.
 */
export class HeardDeas {
  readonly #redis: Pick<RedisConnections, 'client' | 'keys'>;
  /** Those read longest ago first. */
  #known = new Map<string, DeaLiveness>();

  constructor(redis: Pick<RedisConnections, 'client' | 'keys'>) {
    this.#redis = redis;
  }

  /**
   * Enough to know which of the instances are lost. Of a DEA that is heard the time may be older than its last heartbeat.
   *
   * @param between what was last listed before `lostBeforeMs` is lost; the time now (epoch ms)
   */
  async of(
    instances: Iterable<Pick<Instance, 'dea' | 'firstListedMs' | 'lastListedMs'>>,
    between: { lostBeforeMs: number; nowMs: number },
  ): Promise<Deas> {
    // Another one, because a call that waits for its read still needs this one.
    if (this.#known.size > MAX_DEAS) this.#known = new Map();
    const known = this.#known;
    const unproven = new Set<string>();
    for (const { dea, firstListedMs, lastListedMs } of instances) {
      if (lastListedMs !== undefined || firstListedMs >= between.lostBeforeMs) continue;
      const heardMs = known.get(dea)?.lastHeartbeatMs ?? 0;
      // A time to come is none: somebody edited it.
      if (heardMs < between.lostBeforeMs || heardMs > between.nowMs) unproven.add(dea);
    }
    if (unproven.size > 0) await this.#read(known, withStale(known, unproven, between));
    return known;
  }

  async #read(known: Map<string, DeaLiveness>, deas: readonly string[]): Promise<void> {
    const times = await this.#redis.client.zmscore(this.#redis.keys.deasLastHeartbeat, ...deas);
    deas.forEach((dea, at) => {
      known.delete(dea);
      const time = times[at];
      if (time != null) known.set(dea, decodeLiveness(time));
    });
  }
}

/** With those that were read longest ago and are soon no proof, so that there is not a read for each of them. */
function withStale(
  known: Deas,
  unproven: ReadonlySet<string>,
  { lostBeforeMs, nowMs }: { lostBeforeMs: number; nowMs: number },
): string[] {
  const deas = new Set(unproven);
  const staleBeforeMs = (lostBeforeMs + nowMs) / 2;
  for (const [dea, { lastHeartbeatMs }] of known) {
    if (lastHeartbeatMs >= staleBeforeMs || deas.size >= unproven.size + MORE_AT_ONCE) break;
    deas.add(dea);
  }
  return [...deas];
}
