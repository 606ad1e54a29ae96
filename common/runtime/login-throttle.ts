/** Counts failed logins for each address; an address with too many must wait. */
import { isIPv6 } from 'node:net';

/** More than a person mistypes, and far too few to guess a good password. */
export const MAX_FAILURES = 10;
export const WINDOW_MS = 60_000;
/** Limits the memory: beyond this many addresses the oldest is dropped. */
const MAX_ADDRESSES = 10_000;

export class LoginThrottle {
  readonly #nowMs: () => number;
  readonly #failures = new Map<string, { count: number; sinceMs: number }>();

  /** @param nowMs a monotonic clock (ms) */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Counts a failed login from this address. */
  add(address: string): void {
    const network = networkOf(address);
    const known = this.#known(network);
    if (known !== undefined) {
      known.count++;
      return;
    }
    const [oldest] = this.#failures.keys();
    if (this.#failures.size >= MAX_ADDRESSES && oldest !== undefined) this.#failures.delete(oldest);
    this.#failures.set(network, { count: 1, sinceMs: this.#nowMs() });
  }

  /** Seconds for which every login from this address is refused; 0: it is not. */
  waitS(address: string): number {
    const known = this.#known(networkOf(address));
    if (known === undefined || known.count < MAX_FAILURES) return 0;
    return Math.max(1, Math.ceil((known.sinceMs + WINDOW_MS - this.#nowMs()) / 1000));
  }

  #known(network: string): { count: number; sinceMs: number } | undefined {
    const known = this.#failures.get(network);
    if (known === undefined || this.#nowMs() - known.sinceMs < WINDOW_MS) return known;
    this.#failures.delete(network);
    return undefined;
  }
}

/** IPv6 addresses count by their /64, because one host can use all addresses of it. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? 0 : tail.split(':').length;
  while (tail !== undefined && groups.length + rest < 8) groups.push('0');
  return `${groups.slice(0, 4).join(':')}::/64`;
}
