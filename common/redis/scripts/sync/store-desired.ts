import { LOG_LENGTH } from '../../../model/decision-log.ts';
import { chunksByGroup } from '../chunks.ts';
import type { ScriptAccess } from '../scripts.ts';

export interface DesiredWrite {
  nowMs: number;
  /** When the pass began. */
  begunMs: number;
  pass: string;
  /** Droplet -> desired state, encoded; '' if the page lists it but its entry cannot be read. */
  desired: ReadonlyMap<string, string>;
  /** Those of them that must have this desired state, because their page is as before. */
  expected?: ReadonlySet<string>;
  /** Those others that must have a desired state, because their page listed them before. */
  known?: ReadonlySet<string>;
  /** A record without a desired state may lose its grace period too early if it is older (ms). */
  oldRecordMs: number;
  /** They were lost: their grace period begins anew. */
  wereLost?: boolean;
}

export interface StoredDesired {
  /** How many droplets changed. */
  changed: number;
  /** Droplets that must have a desired state and have none: nothing was written for them. */
  lost: string[];
  /** Expected droplets whose record was incomplete or differed, or whose index entry was missing. */
  repaired: string[];
}

/** Droplets of one call: more would keep Redis from its other work for too long. */
export const DROPLETS_PER_CALL = 256;

/** Stores the desired state of droplets. @returns superseded if another pass may write */
export async function storeDesired(
  { scripts, keys }: ScriptAccess,
  {
    nowMs,
    begunMs,
    pass,
    desired,
    expected = new Set(),
    known = new Set(),
    oldRecordMs,
    wereLost = false,
  }: DesiredWrite,
): Promise<StoredDesired | 'superseded'> {
  const calls = chunksByGroup(desired.keys(), DROPLETS_PER_CALL, keys.sliceOf).map(({ group, items }) => {
    const names = [keys.due(group), keys.passOf(group), keys.decisions(group)];
    let lines = '';
    // The expected ones come first, then the known ones, so that their numbers are enough to know which they are.
    const rank = (id: string) => (expected.has(id) ? 0 : known.has(id) ? 1 : 2);
    if (expected.size + known.size > 0) items.sort((a, b) => rank(a) - rank(b));
    const expectedCount = items.filter((id) => rank(id) === 0).length;
    const knownCount = items.filter((id) => rank(id) <= 1).length;
    for (const id of items) {
      names.push(keys.droplet(id), keys.indexOf(id));
      lines += `${id}\n${desired.get(id) ?? ''}\n`;
    }
    return scripts.run('store_desired', names, [
      nowMs,
      begunMs,
      pass,
      LOG_LENGTH,
      lines,
      expectedCount,
      knownCount,
      oldRecordMs,
      wereLost ? '1' : '',
    ]);
  });
  const stored: StoredDesired = { changed: 0, lost: [], repaired: [] };
  for (const reply of await Promise.all(calls)) {
    if (reply === 'superseded') return reply;
    const [changed, lost, repaired] = reply as [number, string[], string[]];
    stored.changed += changed;
    stored.lost.push(...lost);
    stored.repaired.push(...repaired);
  }
  return stored;
}
