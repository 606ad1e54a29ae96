import { Cluster, Command, type Redis } from 'ioredis';
import type { RedisClient } from './scripts/scripts.ts';

/** A replica that is there confirms within a millisecond or two. */
const WAIT_AT_MOST_MS = 50;
/** A server whose replicas did not confirm in time, or that has none, is not asked again for so long (ms). */
const NOT_ASKED_FOR_MS = 10_000;

/**
 * Waits for replicas where it matters: what is about to leave for NATS must not be forgotten by the replica that takes
 * over a moment later, or it would leave again.
 *
 * A replica that is away delays nothing for long: who has no replica has nobody to take over either.
 */
export class ReplicaAck {
  readonly #client: RedisClient;
  readonly #notAskedUntilMs = new WeakMap<Redis, number>();

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** Resolves when a replica has what this client has written to the key's server, or soon if none says so. */
  async waitFor(key: string): Promise<void> {
    const server = this.#serverOf(key);
    if (server === undefined || (this.#notAskedUntilMs.get(server) ?? 0) > performance.now()) return;
    const confirmed = await server.wait(1, WAIT_AT_MOST_MS).catch(() => 0);
    if (confirmed === 0) this.#notAskedUntilMs.set(server, performance.now() + NOT_ASKED_FOR_MS);
  }

  #serverOf(key: string): Redis | undefined {
    if (!(this.#client instanceof Cluster)) return this.#client;
    const slot = new Command('get', [key]).getSlot();
    const [master] = (slot === null ? undefined : this.#client.slots[slot]) ?? [];
    return this.#client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === master);
  }
}
