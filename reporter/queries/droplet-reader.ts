import type { ObservedDroplet } from '../../common/explain/observed-droplet.ts';
import type { Holds } from '../../common/model/droplet.ts';
import { lostBefore } from '../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { holdsFrom } from '../../common/redis/fleet/holds/holds.ts';
import { type DropletReads, readWithDeas } from '../../common/redis/records/readers.ts';
import { readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { isKnown } from '../../common/views/droplet/droplet-answers.ts';
import { SharedReads } from './shared-reads.ts';

/** Droplets at one moment, and which of their instances are lost. */
export interface ObservedReads extends DropletReads {
  /** What was last listed before this time is lost (epoch ms). */
  lostBeforeMs: number;
  /** Those that are on for the whole deployment. */
  holds: Holds;
}

/** A droplet of these reads as queries see it; undefined if it is unknown or its record cannot be read. */
export function knownView(
  droplet: DropletReads['droplets'][number],
  { deas, nowMs, lostBeforeMs }: Omit<ObservedReads, 'droplets'>,
  settings: PolicySettings,
): ObservedDroplet | undefined {
  if (droplet === undefined || droplet instanceof Error || !isKnown(droplet)) return undefined;
  return { droplet, deas, nowMs, lostBeforeMs, settings };
}

/** Reads droplets for queries. */
export class DropletReader {
  readonly #redis: RedisConnections;
  readonly #clock: Clock;
  readonly #policy: PolicySettings;
  readonly #shared = new SharedReads<ObservedReads>((ids) => this.#readBatch(ids));

  constructor(redis: RedisConnections, clock: Clock, policy: PolicySettings) {
    this.#redis = redis;
    this.#clock = clock;
    this.#policy = policy;
  }

  /** @throws BusyError */
  read(ids: readonly string[]): Promise<ObservedReads> {
    return this.#shared.read(ids);
  }

  async #readBatch(ids: readonly string[]): Promise<ObservedReads> {
    const [{ droplets, deas, nowMs }, facts] = await Promise.all([
      readWithDeas(this.#redis, this.#clock, ids),
      readFleetFacts(this.#redis),
    ]);
    const holds = holdsFrom(facts, nowMs, this.#policy);
    const lostBeforeMs = lostBefore(nowMs, holds.listeningGaps, this.#policy);
    return { droplets, deas, nowMs, lostBeforeMs, holds };
  }
}
