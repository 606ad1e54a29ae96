/** Checks of `droplet.exited` beyond those of its parser. */
import { EXITED } from '../../../../common/messages/schemas.ts';
import { isTime, type JsonRecord } from '../../../../common/messages/validation.ts';
import type { Report } from '../findings.ts';
import { misspelt, oddTime, shown } from '../values.ts';

const FIELDS = Object.keys(EXITED.properties);
/** A longer description is cut. */
const MAX_DESCRIPTION = 200;

/** Reports what is doubtful about an accepted exit. @param who the agent, or the droplet where it is not known */
export function checkExit(who: string, exit: JsonRecord, nowS: number, report: Report): void {
  const { exit_status: status, exit_description: description, crash_timestamp: crashed, reason } = exit;
  const ignored = (field: string, expected: string) =>
    report(who, 'ignored_field', `${field}: expected ${expected}`, shown(exit[field]));
  if (status !== undefined && status !== null && !Number.isSafeInteger(status))
    ignored('exit_status', 'an integer or null');
  if (description !== undefined && description !== null && typeof description !== 'string')
    ignored('exit_description', 'a string');
  if (typeof description === 'string' && description.length > MAX_DESCRIPTION)
    ignored('exit_description', `at most ${MAX_DESCRIPTION} characters; the rest is cut`);
  if (reason !== 'CRASHED' && crashed !== undefined && crashed !== null)
    ignored('crash_timestamp', 'one only with CRASHED');
  const odd = reason === 'CRASHED' && isTime(crashed) ? oddTime(crashed, nowS) : undefined;
  if (odd !== undefined) report(who, 'odd_time', `crash_timestamp ${odd}`, shown(crashed));
  for (const [field, likely] of misspelt(exit, FIELDS))
    report(who, 'misspelt_field', `droplet.exited: ${field}, maybe ${likely}`);
}
