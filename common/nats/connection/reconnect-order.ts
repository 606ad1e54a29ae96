/** When and in which order the client dials after it has lost its server. */
import type { NatsConnection } from 'nats';
import { addServers, type KnownServer, knownServers, setDialTimeout, socketOf } from './client-internals.ts';

const RECONNECT_WAIT_MS = 250;
/** Spreads the reconnects of all clients after a server restart. */
const RECONNECT_JITTER_MS = 250;
/** From the connect to the end of the handshake, with a configured server. */
export const HANDSHAKE_MS = 5_000;
/** The same with a gossiped server, whose address may not be reachable from here. */
const GOSSIPED_HANDSHAKE_MS = 2_000;
/** A wait that passes every comparison of the client: it dials now. */
const NOW = Number.NEGATIVE_INFINITY;

/** Wait before the next attempt to connect (ms). */
export function retryWaitMs(): number {
  return RECONNECT_WAIT_MS + Math.random() * RECONNECT_JITTER_MS;
}

/**
 * Dials in rounds: all configured servers, then one gossiped server, so that gossiped addresses that cannot be reached from
 * here never keep the client from the configured ones. A round begins `retryWaitMs` after the one before.
 *
 * Without this the client dials all known servers in turn, and skips one after each wait. It measures the wait by the wall clock:
 * after that was set back by an hour, it would not connect for an hour. And it forgets configured servers that were down at
 * the first connect.
 */
export class ReconnectOrder {
  #connection: NatsConnection | undefined;
  /** What is left of this round. */
  #round: KnownServer[] = [];
  #gossipedTried = new Set<KnownServer>();
  /** By a monotonic clock. */
  #nextRoundMs = Number.NEGATIVE_INFINITY;

  /** @param configured `host:port` each */
  attach(connection: NatsConnection, configured: readonly string[]): void {
    this.#connection = connection;
    addServers(connection, configured);
  }

  /** The client calls it before each dial. @returns the wait before that (ms) */
  delayMs(): number {
    // Servers that were never dialed are dialed at once. One that drops the connection before this knows it is not dialed without a pause.
    if (this.#connection === undefined) return retryWaitMs();
    // The client leaves the socket of a failed dial open.
    socketOf(this.#connection)?.destroy();
    const known = knownServers(this.#connection);
    const [first] = known;
    if (first === undefined) return NOW; // closed
    this.#round = this.#round.filter((server) => known.includes(server));
    if (this.#round.length === 0) {
      const leftMs = this.#nextRoundMs - performance.now();
      if (leftMs > 0) {
        // The client waits for as long as it has not dialed its first server.
        first.lastConnect = Date.now();
        return Math.ceil(leftMs);
      }
      this.#round = this.#newRound(known);
      this.#nextRoundMs = performance.now() + retryWaitMs();
    }
    const next = this.#round.shift() ?? first;
    known.splice(known.indexOf(next), 1);
    known.unshift(next);
    setDialTimeout(this.#connection, next.gossiped ? GOSSIPED_HANDSHAKE_MS : HANDSHAKE_MS);
    return NOW;
  }

  #newRound(known: readonly KnownServer[]): KnownServer[] {
    const gossiped = known.filter((server) => server.gossiped);
    let untried = gossiped.filter((server) => !this.#gossipedTried.has(server));
    if (untried.length === 0) {
      untried = gossiped;
      this.#gossipedTried = new Set();
    }
    // At random, so that not all clients of a dead server go to the same one.
    const one = untried[Math.floor(Math.random() * untried.length)];
    if (one !== undefined) this.#gossipedTried.add(one);
    return [...known.filter((server) => !server.gossiped), ...(one === undefined ? [] : [one])];
  }
}
