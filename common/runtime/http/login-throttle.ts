/** Counts failed logins, for each address and over all addresses; with too many, logins must wait. */
import { isIPv6 } from 'node:net';

/** More than a person mistypes, and far too few to guess a good password. */
export const MAX_FAILURES = 10;
/** Over all addresses, because an attacker may have many. */
export const MAX_FAILURES_IN_ALL = 100;
export const WINDOW_MS = 60_000;
/** A client that has logged in rightly is known for this long after its latest login. */
export const KNOWN_FOR_MS = 24 * 3_600_000;
/** Limits the memory: beyond this many addresses, or known clients, the oldest is dropped. */
const MAX_ENTRIES = 10_000;

interface Failures {
  count: number;
  sinceMs: number;
}

/**
 * A known client is one that has logged in rightly from its address before, with the same headers. It does not wait, because
 * behind a proxy it has the same address as an attacker.
 */
export class LoginThrottle {
  readonly #nowMs: () => number;
  readonly #failures = new Map<string, Failures>();
  /** When each known client has logged in last; the oldest first. */
  readonly #known = new Map<string, number>();
  #inAll: Failures = { count: 0, sinceMs: Number.NEGATIVE_INFINITY };

  /** @param nowMs a monotonic clock (ms) */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Counts a failed login from this address. */
  addFailure(address: string): void {
    if (this.#isOver(this.#inAll)) this.#inAll = { count: 0, sinceMs: this.#nowMs() };
    this.#inAll.count++;
    const network = networkOf(address);
    const failures = this.#failuresOf(network);
    if (failures !== undefined) failures.count++;
    else put(this.#failures, network, { count: 1, sinceMs: this.#nowMs() });
  }

  /** @param client what only this client sends, as a digest */
  addSuccess(address: string, client: string): void {
    put(this.#known, clientKey(address, client), this.#nowMs());
  }

  /** Seconds for which a login of this client is refused; 0: it is not. */
  waitS(address: string, client: string): number {
    const waits = [
      waitMs(this.#failuresOf(networkOf(address)), MAX_FAILURES, this.#nowMs()),
      waitMs(this.#inAll, MAX_FAILURES_IN_ALL, this.#nowMs()),
    ];
    const longestMs = Math.max(...waits);
    return longestMs <= 0 || this.#isKnown(address, client) ? 0 : Math.ceil(longestMs / 1000);
  }

  #isKnown(address: string, client: string): boolean {
    const sinceMs = this.#known.get(clientKey(address, client));
    return sinceMs !== undefined && this.#nowMs() - sinceMs < KNOWN_FOR_MS;
  }

  #failuresOf(network: string): Failures | undefined {
    const failures = this.#failures.get(network);
    if (failures === undefined || !this.#isOver(failures)) return failures;
    this.#failures.delete(network);
    return undefined;
  }

  #isOver({ sinceMs }: Failures): boolean {
    return this.#nowMs() - sinceMs >= WINDOW_MS;
  }
}

/** At most 0: no wait. */
function waitMs(failures: Failures | undefined, max: number, nowMs: number): number {
  return failures === undefined || failures.count < max ? 0 : failures.sinceMs + WINDOW_MS - nowMs;
}

/** Makes the entry the newest one. */
function put<V>(entries: Map<string, V>, key: string, value: V): void {
  entries.delete(key);
  const [oldest] = entries.keys();
  if (entries.size >= MAX_ENTRIES && oldest !== undefined) entries.delete(oldest);
  entries.set(key, value);
}

const clientKey = (address: string, client: string) => `${networkOf(address)} ${client}`;

/** IPv6 addresses count by their /64, because one host can use all addresses of it. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? 0 : tail.split(':').length;
  while (tail !== undefined && groups.length + rest < 8) groups.push('0');
  return `${groups.slice(0, 4).join(':')}::/64`;
}
