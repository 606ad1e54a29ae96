/** Entries of the decision log as CSV (RFC 4180). Pure. */
import type { LogEntry } from '../../../common/model/decision-log.ts';

const COLUMNS = [
  ...([
    'kind',
    'droplet',
    'index',
    'reason',
    'hold',
    'exit',
    'exitStatus',
    'exitDescription',
    'version',
  ] as const),
  ...(['instance', 'dea', 'crashes', 'attempts', 'priority', 'why', 'act', 'by', 'note', 'id'] as const),
] as const satisfies readonly (keyof LogEntry)[];

export function csvOf(entries: readonly LogEntry[]): string {
  const head = ['time', 'atMs', ...COLUMNS];
  const rows = entries.map((entry) => [
    new Date(entry.atMs).toISOString(),
    String(entry.atMs),
    ...COLUMNS.map((column) => String(entry[column] ?? '')),
  ]);
  return `${[head, ...rows].map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`;
}

/** A text that a spreadsheet would take for a formula begins with an apostrophe. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
