import { LOG_LENGTH, type LogEntry } from '../../../model/decision-log.ts';
import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** Asks the analyzer to forget crash count and attempts of slots, and logs who asked. @returns unknown: there is no record */
export async function requestRetry(
  { scripts, keys }: ScriptAccess,
  { droplet, indices, entry }: { droplet: string; indices: readonly number[]; entry: LogEntry },
): Promise<'stored' | 'unknown'> {
  const slice = keys.sliceOf(droplet);
  const reply = await scripts.run(
    'request_retry',
    [keys.droplet(droplet), keys.due(slice), keys.decisions(slice)],
    [droplet, entry.atMs, LOG_LENGTH, JSON.stringify(entry), ...indices],
  );
  return decodeCode(reply, 'stored', 'unknown');
}
