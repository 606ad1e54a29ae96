/** Checks of the entries of one heartbeat. */
import type { HeartbeatEntry } from '../../../../common/messages/incoming/incoming.ts';
import { parseHeartbeat } from '../../../../common/messages/incoming/incoming.ts';
import { HEARTBEAT, HEARTBEAT_ENTRY } from '../../../../common/messages/schemas.ts';
import { isRecord } from '../../../../common/messages/validation.ts';
import type { Report } from '../findings.ts';
import { misspelt, oddTime, shown } from '../values.ts';

/** The first four mean something; real DEAs report the last two as well. */
const KNOWN_STATES: ReadonlySet<string> = new Set([
  ...['STARTING', 'RUNNING', 'CRASHED', 'EVACUATING'],
  ...['RESUMING', 'STOPPED'],
]);

/** Reports what is doubtful about accepted entries. */
export function checkEntries(
  dea: string,
  entries: readonly HeartbeatEntry[],
  nowS: number,
  report: Report,
): void {
  const guids = new Set<string>();
  for (const { instance, state, stateTimestampS } of entries) {
    if (guids.has(instance)) report(dea, 'listed_twice', 'instance in one heartbeat', instance);
    guids.add(instance);
    if (!KNOWN_STATES.has(state))
      report(
        dea,
        'unknown_state',
        `state ${shown(state)}: expected STARTING, RUNNING, CRASHED or EVACUATING`,
        instance,
      );
    const odd = oddTime(stateTimestampS, nowS);
    if (odd !== undefined)
      report(dea, 'odd_time', `state_timestamp ${odd}`, `${stateTimestampS} (${instance})`);
  }
}

const HEARTBEAT_FIELDS = Object.keys(HEARTBEAT.properties);
const ENTRY_FIELDS = Object.keys(HEARTBEAT_ENTRY.properties);

/** Reports rejected entries with an example each, and fields of an unusual name. @param message the decoded heartbeat */
export function checkRawEntries(
  dea: string,
  message: unknown,
  rejected: readonly { reason: string; count: number }[],
  partition: string,
  report: Report,
): void {
  for (const [field, likely] of misspelt(message, HEARTBEAT_FIELDS))
    report(dea, 'misspelt_field', `heartbeat: ${field}, maybe ${likely}`);
  const list = isRecord(message) && Array.isArray(message.droplets) ? (message.droplets as unknown[]) : [];
  for (const entry of list)
    for (const [field, likely] of misspelt(entry, ENTRY_FIELDS))
      report(dea, 'misspelt_field', `heartbeat entry: ${field}, maybe ${likely}`, shown(entry));
  for (const { reason, count } of rejected) {
    const example = list.find((entry) => rejectionOf(entry, partition) === reason);
    const value = isRecord(example) && Object.hasOwn(example, reason) ? shown(example[reason]) : 'missing';
    report(
      dea,
      'entry_rejected',
      `heartbeat entry: ${reason}`,
      reason === 'entry' ? shown(example) : value,
      count,
    );
  }
}

/** Why ingest would reject the entry. */
function rejectionOf(entry: unknown, partition: string): string | undefined {
  const parsed = parseHeartbeat(Buffer.from(JSON.stringify({ droplets: [entry], dea: 'dea' })), partition);
  return 'ok' in parsed ? parsed.ok.rejected[0]?.reason : parsed.reject;
}
