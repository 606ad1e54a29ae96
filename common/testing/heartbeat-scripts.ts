import type { RedisConnections } from '../redis/connections.ts';

export type Pair = [dea: string, digest: string, atMs: number];

/** For tests: the scripts of heartbeats, called as an ingestor calls them. */
export function heartbeatScripts(redis: () => RedisConnections, dropletLostMs: number) {
  return {
    deasLastHeartbeat(...pairs: Pair[]) {
      const { keys, scripts } = redis();
      return scripts.touchDeas(
        [keys.deasLastHeartbeat, keys.deasPreviousHeartbeat, keys.deasDigest],
        [dropletLostMs, ...pairs.flat()],
      );
    },
    begin(atMs: number, dea: string, ...lines: string[]) {
      const { keys, scripts } = redis();
      return scripts.beginHeartbeat(
        [
          ...[keys.deasLastHeartbeat, keys.deasPreviousHeartbeat, keys.deasDigest],
          ...[keys.deaList(dea), keys.deasShutdown, keys.failover],
        ],
        [atMs, dea, lines.map((line) => `${line}\n`).join('')],
      );
    },
    finish(atMs: number | string, dea: string, digest = 'digest', instances = 1) {
      const { keys, scripts } = redis();
      return scripts.finishHeartbeat(
        [keys.deasDigest, keys.deaList(dea), keys.deasCount, keys.failover],
        [atMs, dea, digest, instances, '', ''],
      );
    },
    /** When the DEA was heard, and when before. */
    async heard(dea: string) {
      const { client, keys } = redis();
      const [now, before] = await Promise.all([
        client.zscore(keys.deasLastHeartbeat, dea),
        client.zscore(keys.deasPreviousHeartbeat, dea),
      ]);
      return [now, before].map((time) => (time === null ? undefined : Number(time)));
    },
  };
}

/** A line of a DEA's list: eight characters of fingerprint, and the droplet. */
export const line = (droplet: string, fingerprint = 'f') => fingerprint.padEnd(8, '0') + droplet;
