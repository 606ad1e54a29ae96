/** How often logins failed, by the address that they came from: who fails too often has to wait. */
import { isIPv6 } from 'node:net';

/** More than a person mistypes; 10 a minute would take ages to guess any password that is worth the name. */
export const TRIES = 10;
export const WITHIN_MS = 60_000;
/** Addresses that are remembered, so that many of them do not fill the memory; the oldest is forgotten first. */
const ADDRESSES = 10_000;

export class LoginThrottle {
  readonly #nowMs: () => number;
  readonly #tries = new Map<string, { count: number; sinceMs: number }>();

  /** @param nowMs a clock that never steps back */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** A login from this address failed. */
  add(address: string): void {
    const network = networkOf(address);
    const known = this.#known(network);
    if (known !== undefined) {
      known.count++;
      return;
    }
    const [oldest] = this.#tries.keys();
    if (this.#tries.size >= ADDRESSES && oldest !== undefined) this.#tries.delete(oldest);
    this.#tries.set(network, { count: 1, sinceMs: this.#nowMs() });
  }

  /** For how many seconds no login from there is looked at; 0: it is. */
  waitS(address: string): number {
    const known = this.#known(networkOf(address));
    if (known === undefined || known.count < TRIES) return 0;
    return Math.max(1, Math.ceil((known.sinceMs + WITHIN_MS - this.#nowMs()) / 1000));
  }

  #known(network: string): { count: number; sinceMs: number } | undefined {
    const known = this.#tries.get(network);
    if (known === undefined || this.#nowMs() - known.sinceMs < WITHIN_MS) return known;
    this.#tries.delete(network);
    return undefined;
  }
}

/** A host has a whole /64 of IPv6 addresses to try from. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? 0 : tail.split(':').length;
  while (tail !== undefined && groups.length + rest < 8) groups.push('0');
  return `${groups.slice(0, 4).join(':')}::/64`;
}
