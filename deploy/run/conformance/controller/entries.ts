/** Checks of one entry of the bulk API. */
import { parseBulkEntry } from '../../../../common/messages/bulk.ts';
import { BULK_ENTRY } from '../../../../common/messages/schemas.ts';
import { isRecord } from '../../../../common/messages/validation.ts';
import type { Report } from '../findings.ts';
import { misspelt, oddTime, shown } from '../values.ts';

const FIELDS = Object.keys(BULK_ENTRY.properties);
const WITH_ZONE = /(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$/;
const YEAR_FIRST = /^\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d/;

/**
 * Reports what is wrong or doubtful about an entry.
 *
 * @returns what of it the health manager keeps, as a text; undefined if it is rejected
 */
export function checkBulkEntry(
  who: string,
  id: string,
  value: unknown,
  nowS: number,
  report: Report,
): string | undefined {
  const parsed = parseBulkEntry(id, value);
  const entry = isRecord(value) ? value : {};
  for (const [field, likely] of misspelt(entry, FIELDS))
    report(who, 'misspelt_field', `bulk entry: ${field}, maybe ${likely}`, id);
  if ('reject' in parsed) {
    const found = Object.hasOwn(entry, parsed.reject) ? shown(entry[parsed.reject]) : 'missing';
    report(who, 'entry_rejected', `bulk entry: ${parsed.reject}`, `${id}: ${found}`);
    return undefined;
  }
  const { updated_at: date, memory, id: named } = entry;
  if (typeof date === 'string') checkDate(who, id, date.trim(), parsed.ok.updatedAtS ?? 0, nowS, report);
  if (memory !== undefined && memory !== null && !(typeof memory === 'number' && memory >= 0))
    report(who, 'ignored_field', 'memory: expected a number of MB', `${id}: ${shown(memory)}`);
  if (named !== undefined && String(named) !== id)
    report(who, 'ignored_field', 'id: expected the key of its entry', `${id}: ${shown(named)}`);
  return JSON.stringify(parsed.ok);
}

function checkDate(who: string, id: string, text: string, timeS: number, nowS: number, report: Report): void {
  const odd = (detail: string) => report(who, 'odd_date', `updated_at ${detail}`, `${id}: ${shown(text)}`);
  const time = oddTime(timeS, nowS);
  if (time !== undefined) odd(time);
  if (!YEAR_FIRST.test(text)) odd('is not of the form 2014-04-15T15:14:56+00:00');
  else if (!WITH_ZONE.test(text)) odd('has no time zone, so it is taken for UTC');
}
