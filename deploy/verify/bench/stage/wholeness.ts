/** Whether the fleet in Redis is whole: without reading its records, so that looking costs little beside a recovery. */
import { readHolds } from '../../../../common/redis/fleet/holds/holds.ts';
import { lastPass } from './load-fleet.ts';
import type { Stage } from './stage.ts';

export interface Fleet {
  /** With one instance each. */
  droplets: number;
  deas: number;
}

export interface Wholeness {
  /** A complete pass has listed every droplet. */
  desired: boolean;
  /** The latest heartbeat of every DEA is stored with all its instances. */
  actual: boolean;
  /** The holds that are on for the whole deployment. */
  holds: string[];
}

export async function readWholeness(stage: Stage, { droplets, deas }: Fleet): Promise<Wholeness> {
  const { client, keys } = stage.redis;
  const [pass, listed, digests, holds] = await Promise.all([
    lastPass(stage),
    client.hget(keys.syncState, 'listed'),
    client.hlen(keys.deasDigest),
    readHoldsOn(stage),
  ]);
  return { desired: pass !== undefined && Number(listed) === droplets, actual: digests === deas, holds };
}

/** The names of the holds that are on for the whole deployment. */
export async function readHoldsOn({ redis, settings }: Stage): Promise<string[]> {
  const [seconds, micros] = await redis.client.time();
  const nowMs = Number(seconds) * 1000 + Number(micros) / 1000;
  const holds = await readHolds(redis, { nowMs: () => nowMs }, settings.policy);
  const isOn = {
    desired_unavailable: holds.desiredUnavailable,
    actual_not_fresh: holds.actualNotFresh,
    mass_loss: holds.massLossDeas.size > 0,
    mass_delete: holds.massDelete,
  };
  return Object.entries(isOn).flatMap(([name, on]) => (on ? [name] : []));
}
