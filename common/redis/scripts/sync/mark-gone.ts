import { LOG_LENGTH } from '../../../model/decision-log.ts';
import { chunksByGroup } from '../chunks.ts';
import { decodeCountOrSuperseded, sumOrSuperseded } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';
import { DROPLETS_PER_CALL } from './store-desired.ts';

export interface GoneDroplets {
  nowMs: number;
  /** When they were last listed. */
  listedMs: number;
  pass: string;
  ids: Iterable<string>;
}

/**
 * Marks droplets as gone from the desired state.
 *
 * @returns how many changed; superseded if another pass may write
 */
export async function markGone(
  { scripts, keys }: ScriptAccess,
  { nowMs, listedMs, pass, ids }: GoneDroplets,
): Promise<number | 'superseded'> {
  const calls = chunksByGroup(ids, DROPLETS_PER_CALL, keys.sliceOf).map(({ group, items }) =>
    scripts.run(
      'mark_gone',
      [
        ...[keys.due(group), keys.passOf(group), keys.decisions(group)],
        ...items.flatMap((id) => [keys.droplet(id), keys.indexOf(id)]),
      ],
      [nowMs, listedMs, pass, LOG_LENGTH, ...items],
    ),
  );
  return sumOrSuperseded((await Promise.all(calls)).map(decodeCountOrSuperseded));
}
