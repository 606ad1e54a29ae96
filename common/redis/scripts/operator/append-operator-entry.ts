import { LOG_LENGTH, type LogEntry } from '../../../model/decision-log.ts';
import type { ScriptAccess } from '../scripts.ts';

/** The slice in whose log the acts on the whole deployment are. Every deployment has it. */
const FLEET_SLICE = 0;

/** Appends what an operator did: to the log of its droplet, or to that of the first slice if it is about all of them. */
export async function appendOperatorEntry(
  { scripts, keys }: ScriptAccess,
  entry: LogEntry & { kind: 'operator' },
): Promise<void> {
  const slice = entry.droplet === '' ? FLEET_SLICE : keys.sliceOf(entry.droplet);
  await scripts.run('append_operator_entry', [keys.decisions(slice)], [LOG_LENGTH, JSON.stringify(entry)]);
}
