/**
 * The fleet of the benchmarks: droplets with one instance each, 100 on a DEA, with ids as in real clouds. Every id follows
 * from a number, so that each process can compute the whole fleet.
 */
import type { Reported } from '../../../demo/agent/dea-messages.ts';

/** Instances on a DEA. */
export const PER_DEA = 100;

/** Droplets on a page of the bulk API (`bulk_api.batch_size`). */
export const PAGE_SIZE = 500;

const STATE_TIMESTAMP = 1_398_000_000;
export const UPDATED_AT = '2014-04-20T13:20:00+00:00';

/** Scatters a number over 32 bits, one to one (the finalizer of MurmurHash3). */
function scatter(n: number): number {
  let h = n | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const hex = (n: number) => n.toString(16).padStart(8, '0');

/** 32 hex digits, different for every `n` and `salt`. */
function digits(n: number, salt: number): string {
  return hex(scatter(n)) + hex(scatter(n ^ (salt << 26))) + hex(scatter(n + salt)) + hex(scatter(~n - salt));
}

function guid(n: number, salt: number): string {
  const d = digits(n, salt);
  return `${d.slice(0, 8)}-${d.slice(8, 12)}-4${d.slice(13, 16)}-a${d.slice(17, 20)}-${d.slice(20)}`;
}

export const dropletId = (n: number): string => guid(n, 1);
export const versionOf = (n: number): string => guid(n, 2);
export const deaId = (dea: number): string => `${dea}-${digits(dea, 3)}`;
/** @param generation counts the instances that have run in the droplet's slot */
export const instanceId = (n: number, generation: number): string => digits(n, 4 + generation);

/** The instance of droplet `n`, which runs on DEA `floor(n / PER_DEA)`. */
export function instanceOf(n: number, generation: number, state: string): Reported {
  return {
    guid: instanceId(n, generation),
    droplet: dropletId(n),
    version: versionOf(n),
    index: 0,
    state,
    sinceS: STATE_TIMESTAMP + generation + (n % 1000) / 1000,
  };
}

/** A page of the bulk API with droplets `from` to `to - 1`. */
export function encodePage(from: number, to: number): string {
  const results: Record<string, object> = {};
  for (let n = from; n < to; n++) {
    results[dropletId(n)] = {
      id: dropletId(n),
      instances: 1,
      state: 'STARTED',
      memory: 256,
      package_state: 'STAGED',
      updated_at: UPDATED_AT,
      version: versionOf(n),
    };
  }
  return JSON.stringify({ results, bulk_token: { id: to } });
}
