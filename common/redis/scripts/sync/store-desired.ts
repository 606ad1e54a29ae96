import { LOG_LENGTH } from '../../../model/decision-log.ts';
import { chunksByGroup } from '../chunks.ts';
import { decodeCountOrSuperseded, sumOrSuperseded } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

export interface DesiredWrite {
  nowMs: number;
  /** When the pass began. */
  begunMs: number;
  pass: string;
  /** Droplet -> desired state, encoded; '' if the page lists it but its entry cannot be read. */
  desired: ReadonlyMap<string, string>;
}

/** Droplets of one call: more would keep Redis from its other work for too long. */
export const DROPLETS_PER_CALL = 256;

/**
 * Stores the desired state of droplets.
 *
 * @returns how many changed; superseded if another pass may write
 */
export async function storeDesired(
  { scripts, keys }: ScriptAccess,
  { nowMs, begunMs, pass, desired }: DesiredWrite,
): Promise<number | 'superseded'> {
  const calls = chunksByGroup(desired.keys(), DROPLETS_PER_CALL, keys.sliceOf).map(({ group, items }) => {
    const names = [keys.due(group), keys.passOf(group), keys.decisions(group)];
    let lines = '';
    for (const id of items) {
      names.push(keys.droplet(id), keys.indexOf(id));
      lines += `${id}\n${desired.get(id) ?? ''}\n`;
    }
    return scripts.run('store_desired', names, [nowMs, begunMs, pass, LOG_LENGTH, lines]);
  });
  return sumOrSuperseded((await Promise.all(calls)).map(decodeCountOrSuperseded));
}
