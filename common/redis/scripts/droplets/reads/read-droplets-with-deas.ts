import type { DeaLiveness } from '../../../../model/droplet.ts';
import { decodeLiveness } from '../../../fleet/dea-liveness.ts';
import type { ScriptAccess } from '../../scripts.ts';
import { decodeReadDroplet, type ReadDroplet } from './read-droplets.ts';

/** Droplets, and the DEAs that their instances are on. */
export interface DropletsWithDeas {
  /** In the order that was asked for. */
  droplets: readonly ReadDroplet[];
  /** Only DEAs that are known. */
  deas: Map<string, DeaLiveness>;
}

/** Reads droplets and the latest heartbeats of the DEAs that their instances are on, in one command. Not for a cluster. */
export async function readDropletsWithDeas(
  { scripts, keys }: ScriptAccess,
  ids: readonly string[],
): Promise<DropletsWithDeas> {
  const reply = await scripts.run(
    'read_droplets_with_deas',
    [keys.deasLastHeartbeat, keys.deasPreviousHeartbeat, ...ids.map(keys.droplet)],
    [],
  );
  const [records, heartbeats] = reply as [records: unknown[], heartbeats: (string | null)[]];
  const droplets = records.map((record, at) => decodeReadDroplet(ids[at] as string, record));
  const deas: DropletsWithDeas['deas'] = new Map();
  for (let at = 0; at + 2 < heartbeats.length; at += 3) {
    const [dea, last, previous] = heartbeats.slice(at, at + 3);
    deas.set(String(dea), decodeLiveness(String(last), previous));
  }
  return { droplets, deas };
}
