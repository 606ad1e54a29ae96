/** The silent DEAs, and what has become of their instances. */
import { absentOf, type Workers } from '../../common/explain/present/present.ts';
import type { Step } from '../../common/explain/present/step.ts';
import type { Holds, Instance } from '../../common/model/droplet.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { isWanted } from '../../common/policy/slots/wanted.ts';
import { type Snapshot, takeSnapshot } from '../../common/policy/snapshot.ts';
import { silenceSettledMs } from '../../common/policy/thresholds.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { listedDroplets } from '../../common/redis/fleet/dea-list.ts';
import type { Dea } from '../../common/views/deas.ts';
import type { DropletReader } from '../queries/droplet-reader.ts';
import type { SilentDea, SilentUpdate } from './types.ts';

/** DEAs whose droplets are read. */
const MAX_DEAS = 8;
/** Droplets of one DEA that are read. */
export const MAX_DROPLETS = 500;

interface Sources {
  redis: RedisConnections;
  reader: DropletReader;
  policy: PolicySettings;
}

/** Reads the silent DEAs. One whose instances have all been replaced is not read again. */
export class SilentDeas {
  readonly #sources: Sources;
  readonly #recovered = new Map<string, SilentDea>();

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** @param deas all known DEAs */
  async read(deas: readonly Dea[], holds: Holds, workers: Workers): Promise<SilentUpdate> {
    const silent = deas
      .filter(({ state, instances }) => (state === 'late' || state === 'lost') && instances > 0)
      .sort((a, b) => rank(a) - rank(b) || b.lastHeartbeatMs - a.lastHeartbeatMs || (a.dea < b.dea ? -1 : 1));
    for (const dea of this.#recovered.keys()) {
      if (!silent.some((other) => other.dea === dea)) this.#recovered.delete(dea);
    }
    const shown = silent.slice(0, MAX_DEAS);
    const found = await Promise.all(shown.map((dea) => this.#readDea(dea, holds, workers)));
    return { deas: found, more: silent.length - found.length };
  }

  async #readDea(dea: Dea, holds: Holds, workers: Workers): Promise<SilentDea> {
    const known = this.#recovered.get(dea.dea);
    if (known !== undefined && known.lastHeartbeatMs === dea.lastHeartbeatMs) return known;
    const { redis, reader, policy } = this.#sources;
    const missing = { ...NONE };
    const listed = [...(await listedDroplets(redis, dea.dea))];
    const found = await reader.read(listed.slice(0, MAX_DROPLETS));
    for (const droplet of found.droplets) {
      if (droplet === undefined || droplet instanceof Error) continue;
      const snapshot = takeSnapshot(droplet, found.deas, holds, found.nowMs, policy);
      for (const instance of lostInstances(snapshot, dea.dea))
        missing[kindOf(absentOf(snapshot, instance.index, workers).step)]++;
    }
    const { lastHeartbeatMs, instances } = dea;
    const state = dea.state === 'lost' ? 'lost' : 'late';
    const unread = Math.max(0, listed.length - MAX_DROPLETS);
    const silent: SilentDea = { dea: dea.dea, state, lastHeartbeatMs, instances, missing, unread };
    const isRecovered = state === 'lost' && Object.values(missing).every((count) => count === 0);
    if (isRecovered && found.nowMs - lastHeartbeatMs > silenceSettledMs(policy))
      this.#recovered.set(dea.dea, silent);
    return silent;
  }
}

function kindOf(step: Step): keyof SilentDea['missing'] {
  return step.kind === 'queued' && step.noNudger ? 'no_nudger' : step.kind;
}

const NONE: SilentDea['missing'] = {
  given_up: 0,
  dropped: 0,
  sent: 0,
  restart: 0,
  queued: 0,
  no_nudger: 0,
  held: 0,
  retry: 0,
  grace: 0,
  soon: 0,
};

/** Lost DEAs come before late ones. */
function rank({ state }: Dea): number {
  return state === 'lost' ? 0 : 1;
}

/** Instances that ran on the DEA at wanted slots without a live instance; one for each slot. */
function lostInstances({ droplet, live }: Snapshot, dea: string): Instance[] {
  const slots = new Map<number, Instance>();
  for (const instance of droplet.instances) {
    if (instance.dea !== dea || instance.version !== droplet.desired?.version) continue;
    if (instance.lastListedMs !== undefined || instance.state === 'CRASHED') continue;
    if (isWanted(droplet, instance.index) && !live.has(instance.index)) slots.set(instance.index, instance);
  }
  return [...slots.values()];
}
