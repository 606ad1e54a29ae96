import { LOG_LENGTH, type LogEntry } from '../../../model/decision-log.ts';
import type { Droplet } from '../../../model/droplet.ts';
import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** Removes a droplet, if its record is still the one that was read, and logs that. @returns conflict if it has changed */
export async function removeDroplet(
  { scripts, keys }: ScriptAccess,
  { droplet: { id, rev }, entry }: { droplet: Pick<Droplet, 'id' | 'rev'>; entry: LogEntry },
): Promise<'removed' | 'conflict'> {
  const slice = keys.sliceOf(id);
  const reply = await scripts.run(
    'remove_droplet',
    [keys.droplet(id), keys.due(slice), keys.indexOf(id), keys.decisions(slice), keys.troubled(slice)],
    [id, rev, LOG_LENGTH, JSON.stringify(entry)],
  );
  return decodeCode(reply, 'removed', 'conflict');
}
