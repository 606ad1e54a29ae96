import { LOG_LENGTH, type LogEntry } from '../../../model/decision-log.ts';
import type { ScriptAccess } from '../scripts.ts';

/** The slice in whose log the entries about the whole deployment are. Every deployment has it. */
const FLEET_SLICE = 0;

/**
 * Appends an entry to the decision log that changes no record: an operator's act, or a refusal of the controller. One without a droplet
 * is appended to the log of the first slice.
 */
export async function appendLogEntry(
  { scripts, keys }: ScriptAccess,
  entry: LogEntry & { kind: 'operator' | 'refused' },
): Promise<void> {
  const slice = entry.droplet === '' ? FLEET_SLICE : keys.sliceOf(entry.droplet);
  await scripts.run('append_log_entry', [keys.decisions(slice)], [LOG_LENGTH, JSON.stringify(entry)]);
}
