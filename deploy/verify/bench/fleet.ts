/**
 * The fleet of the benchmarks: droplets with one instance each, 100 on a DEA, under ids as real clouds have them.
 * Everything follows from a number, so that each process can make it up for itself and all mean the same.
 */

/** Instances on a DEA. */
export const PER_DEA = 100;

/** Pages of the bulk API have so many droplets (`bulk_api.batch_size`). */
export const PAGE = 500;

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

/** 32 hex digits, another for every `n` and `salt`. */
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
/** @param life counts the instances that have run in the droplet's slot */
export const instanceId = (n: number, life: number): string => digits(n, 4 + life);

/** An entry of a heartbeat; droplet `n` runs on DEA `floor(n / PER_DEA)`. */
export function entryOf(n: number, life: number, state: string): object {
  return {
    cc_partition: 'default',
    droplet: dropletId(n),
    version: versionOf(n),
    instance: instanceId(n, life),
    index: 0,
    state,
    state_timestamp: STATE_TIMESTAMP + life + (n % 1000) / 1000,
  };
}

/** A page of the bulk API: droplets `from` to `to - 1`. */
export function pageOf(from: number, to: number): string {
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
