import { lostBefore } from '../../common/policy/fleet/liveness.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { gapsFrom } from '../../common/redis/fleet/holds/holds.ts';
import { readRunning } from '../../common/redis/scripts/droplets/reads/read-running.ts';
import { type FleetFacts, readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { type HealthView, isKnown } from '../../common/views/droplet/droplet-answers.ts';
import { type DropletReader, knownView } from './droplet-reader.ts';
import { HeardDeas } from './heard-deas.ts';
import { SharedReads } from './shared-reads.ts';

const FACTS_KEPT_MS = 250;

/** By position: undefined if the droplet is unknown; an Error if its record cannot be read. */
export interface HealthReads {
  droplets: readonly (HealthView | Error | undefined)[];
}

/**
 * Reads what the health of droplets depends on, for less than reading their records: those without an exit take one round trip as
 * long as their DEAs are heard.
 */
export class HealthReader {
  readonly #redis: RedisConnections;
  readonly #clock: Clock;
  readonly #policy: PolicySettings;
  readonly #records: DropletReader;
  readonly #heard: HeardDeas;
  #facts: { atMs: number; facts: FleetFacts } | undefined;
  readonly #shared = new SharedReads<HealthReads>((ids) => this.#readBatch(ids));

  /** @param records reads the records of the other droplets */
  constructor(redis: RedisConnections, clock: Clock, policy: PolicySettings, records: DropletReader) {
    this.#redis = redis;
    this.#clock = clock;
    this.#policy = policy;
    this.#records = records;
    this.#heard = new HeardDeas(redis);
  }

  /** @throws BusyError */
  read(ids: readonly string[]): Promise<HealthReads> {
    return this.#shared.read(ids);
  }

  async #readBatch(ids: readonly string[]): Promise<HealthReads> {
    // Measured before the heartbeats are read, as in `readWithDeas`.
    const nowMs = this.#clock.nowMs();
    const [running, facts] = await Promise.all([readRunning(this.#redis, ids), this.#readFacts(nowMs)]);
    const settings = this.#policy;
    const lostBeforeMs = lostBefore(nowMs, gapsFrom(facts, nowMs, settings), settings);
    const instances = running.flatMap((droplet) => (typeof droplet === 'object' ? droplet.instances : []));
    const [deas, whole] = await Promise.all([
      this.#heard.of(instances, { lostBeforeMs, nowMs }),
      this.#readWhole(ids.filter((_, at) => running[at] === 'whole')),
    ]);
    const droplets = running.map((droplet, at) => {
      if (droplet === 'whole') return whole.get(ids[at] as string);
      return droplet === undefined || !isKnown(droplet)
        ? undefined
        : { droplet, deas, lostBeforeMs, settings };
    });
    return { droplets };
  }

  /** What gaps in listening follow from changes a few times a second, and a gap shows only after seconds. */
  async #readFacts(nowMs: number): Promise<FleetFacts> {
    const known = this.#facts;
    if (known !== undefined && nowMs >= known.atMs && nowMs < known.atMs + FACTS_KEPT_MS) return known.facts;
    const facts = await readFleetFacts(this.#redis);
    this.#facts = { atMs: nowMs, facts };
    return facts;
  }

  async #readWhole(ids: readonly string[]): Promise<Map<string, HealthView | Error | undefined>> {
    if (ids.length === 0) return new Map();
    const reads = await this.#records.read(ids);
    return new Map(
      reads.droplets.map((droplet, at) => [
        ids[at] as string,
        droplet instanceof Error ? droplet : knownView(droplet, reads, this.#policy),
      ]),
    );
  }
}
