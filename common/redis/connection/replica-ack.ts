import { Cluster, Command, type Redis } from 'ioredis';
import type { RedisClient } from '../scripts/scripts.ts';

/** Longest wait for a replica (ms). A working one confirms within a millisecond or two. */
const MAX_WAIT_MS = 50;
/** How long no replica is waited for after none has confirmed in time, or there was none (ms). */
const PAUSE_MS = 10_000;

/**
 * Waits until a replica has a write. A request that is about to be sent to NATS must be stored there, too: a replica that
 * takes over a moment later without that write would let it be sent again.
 *
 * A missing replica delays nothing for long: without one there is also none that could take over.
 */
export class ReplicaAck {
  readonly #client: RedisClient;
  readonly #pausedUntilMs = new WeakMap<Redis, number>();

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** Resolves when a replica has everything that this client wrote to the server of the key, or soon if none confirms it. */
  async waitFor(key: string): Promise<void> {
    const server = this.#serverOf(key);
    if (server === undefined || (this.#pausedUntilMs.get(server) ?? 0) > performance.now()) return;
    const confirmed = await server.wait(1, MAX_WAIT_MS).catch(() => 0);
    if (confirmed === 0) this.#pausedUntilMs.set(server, performance.now() + PAUSE_MS);
  }

  #serverOf(key: string): Redis | undefined {
    if (!(this.#client instanceof Cluster)) return this.#client;
    const slot = new Command('get', [key]).getSlot();
    const [master] = (slot === null ? undefined : this.#client.slots[slot]) ?? [];
    return this.#client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === master);
  }
}
