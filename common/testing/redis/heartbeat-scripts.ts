import type { RedisConnections } from '../../redis/connection/connections.ts';
import { touchDeas } from '../../redis/scripts/deas/touch-deas.ts';
import { beginHeartbeat } from '../../redis/scripts/heartbeats/begin-heartbeat.ts';
import { finishHeartbeat } from '../../redis/scripts/heartbeats/finish-heartbeat.ts';

export type TouchedDea = [dea: string, digest: string, receivedMs: number];

/** For tests: the scripts of heartbeats, called as an ingestor calls them. */
export function heartbeatScripts(redis: () => RedisConnections, dropletLostMs: number) {
  return {
    touch(...touched: TouchedDea[]) {
      const heartbeats = new Map(
        touched.map(
          ([dea, digest, receivedMs]) => [dea, { digest, receivedMs, earliestMs: receivedMs }] as const,
        ),
      );
      return touchDeas(redis(), { dropletLostMs, heartbeats }).then(({ changed }) => changed);
    },
    begin(receivedMs: number, dea: string, ...lines: string[]) {
      const list = lines.map((line) => `${line}\n`).join('');
      return beginHeartbeat(redis(), { dea, receivedMs, earliestMs: receivedMs, list, dropletLostMs });
    },
    finish(atMs: number, dea: string, digest = 'digest', running = 1) {
      return finishHeartbeat(redis(), { dea, atMs, digest, running });
    },
    /** The last heartbeat of the DEA, and the one before. */
    async heartbeatsOf(dea: string) {
      const { client, keys } = redis();
      const [last, previous] = await Promise.all([
        client.zscore(keys.deasLastHeartbeat, dea),
        client.zscore(keys.deasPreviousHeartbeat, dea),
      ]);
      return [last, previous].map((time) => (time === null ? undefined : Number(time)));
    },
  };
}

/** A line of a DEA's list: eight characters of fingerprint, and the droplet. */
export const line = (droplet: string, fingerprint = 'f') => fingerprint.padEnd(8, '0') + droplet;
