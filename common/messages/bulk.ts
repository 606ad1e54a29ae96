/** Parsers of what the controller's bulk API and its credentials request answer (contract: bulk API). */
import { DateTime } from 'luxon';
import type { ListedApp } from '../model/droplet.ts';
import { APP_STATES, PACKAGE_STATES } from '../model/instance-states.ts';
import type * as wire from './schemas.ts';
import { decode, isId, isOneOf, isRecord, type JsonRecord, type Result } from './validation.ts';

export interface BulkPage {
  /** By droplet id. Iterate it with `ids`, because an id may be `__proto__`. */
  results: JsonRecord;
  ids: string[];
  /** Opaque, any JSON: sent back to get the next page. */
  token: unknown;
}

/**
 * A page of `/bulk/apps`. Some controllers end the list with a reply without `results`: `{}`, or only a `bulk_token`. Any
 * other object without results is an error in disguise.
 *
 * @param isFirst a list that begins with such a reply is no list: an empty one has empty results
 */
export function parseBulkPage(bytes: Uint8Array, isFirst = true): Result<BulkPage> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const { results, bulk_token: token }: wire.Fields<typeof wire.BULK_PAGE> = decoded.ok;
  if (isRecord(results)) {
    const ids = Object.keys(results);
    if (ids.length > 0 && token === undefined) return { reject: 'bulk_token' };
    return { ok: { results, ids, token: token ?? null } };
  }
  const isEmptyReply = Object.keys(decoded.ok).every((name) => name === 'results' || name === 'bulk_token');
  if (isFirst || !isEmptyReply || (results !== undefined && results !== null)) return { reject: 'results' };
  return { ok: { results: {}, ids: [], token: token ?? null } };
}

/**
 * Whether no page follows one with this token. Controllers from 2014 on list all apps on one page; its token is null, or has
 * an id that no app has.
 */
export function isLastToken(token: unknown): boolean {
  if (token === null) return true;
  return isRecord(token) && Object.keys(token).length === 1 && (token.id === null || token.id === 0);
}

/** A heartbeat has at most index 65535. */
const MAX_INSTANCES = 65_536;

/** Why an entry is rejected. A fixed set, because it is a metric label. */
export const ENTRY_REJECTIONS = [
  'id',
  'entry',
  'state',
  'instances',
  'version',
  'package_state',
  'updated_at',
] as const;

/** One entry of a page. */
export function parseBulkEntry(
  id: string,
  value: unknown,
): { ok: ListedApp } | { reject: (typeof ENTRY_REJECTIONS)[number] } {
  if (!isId(id)) return { reject: 'id' };
  if (!isRecord(value)) return { reject: 'entry' };
  const entry: wire.Fields<typeof wire.BULK_ENTRY> = value;
  const { state, instances, version, package_state: packageState, memory } = entry;
  if (!isOneOf(APP_STATES, state)) return { reject: 'state' };
  if (!Number.isInteger(instances) || (instances as number) < 0 || (instances as number) > MAX_INSTANCES) {
    return { reject: 'instances' };
  }
  if (!isId(version)) return { reject: 'version' };
  if (!isOneOf(PACKAGE_STATES, packageState)) return { reject: 'package_state' };
  const { updated_at: updatedAt } = entry;
  const updatedAtS = typeof updatedAt === 'string' ? parseDate(updatedAt) : undefined;
  if (updatedAtS === undefined && updatedAt !== undefined) return { reject: 'updated_at' };
  return {
    ok: {
      state,
      packageState,
      instances: instances as number,
      version,
      // Only shown, so a wrong value is no reason to reject the app.
      memoryMb: typeof memory === 'number' && Number.isFinite(memory) && memory >= 0 ? memory : 0,
      updatedAtS,
    },
  };
}

/** A longer text is no date. Some patterns of luxon take quadratic time, so a long text would block the process. */
const MAX_DATE_LENGTH = 64;

/** The forms that controllers write; their years have four digits. */
const USUAL_FORM =
  /^(\d{4})([-/])(\d\d)\2(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)? ?(?:Z|UTC|GMT|([+-])(\d\d):?(\d\d))?$/;

/**
 * Parses a date in any usual form; without a zone it is UTC. The forms that controllers write are parsed here, 50 times faster
 * than luxon does: a page has 500 of them.
 *
 * @returns epoch seconds, or undefined if the text is not a date
 */
export function parseDate(text: string): number | undefined {
  if (text.length > MAX_DATE_LENGTH) return undefined;
  const match = USUAL_FORM.exec(text.trim());
  return match === null ? parseOtherForm(text.trim()) : parseUsualForm(match);
}

/** Converts one group at a time: `match.map(Number)` takes as long as everything else here. */
function parseUsualForm(match: RegExpExecArray): number | undefined {
  const [year, month, day] = [Number(match[1]), Number(match[3]), Number(match[4])];
  const [hour, minute, second] = [Number(match[5]), Number(match[6]), Number(match[7])];
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return undefined;
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  // Date.UTC turns 30 February into 1 March. Days up to the 28th exist in every month.
  if (day > 28 && new Date(ms).getUTCDate() !== day) return undefined;
  const offsetS = match[8] === undefined ? 0 : Number(match[9]) * 3_600 + Number(match[10]) * 60;
  return ms / 1000 - (match[8] === '-' ? -offsetS : offsetS);
}

const FORMATS = ['yyyy-MM-dd HH:mm:ss z', 'EEE MMM d HH:mm:ss ZZZ yyyy', 'EEE MMM d HH:mm:ss z yyyy'];

/** Starts with a year, or has a month name and a year. Without this check a time of day would count as a date of today. */
const HAS_YEAR = /^\d{4}|[a-z]{3}.*\d{4}/i;

function parseOtherForm(text: string): number | undefined {
  if (!HAS_YEAR.test(text)) return undefined;
  const zone = { zone: 'utc' };
  const parsers = [
    () => DateTime.fromISO(text, zone),
    () => DateTime.fromRFC2822(text, zone),
    () => DateTime.fromHTTP(text, zone),
    () => DateTime.fromSQL(text, zone),
    ...FORMATS.map((format) => () => DateTime.fromFormat(text, format, zone)),
  ];
  for (const parse of parsers) {
    const date = parse();
    if (date.isValid && date.toSeconds() >= 0) return Math.floor(date.toSeconds());
  }
  return undefined;
}

/** The reply to the credentials request. */
export function parseBulkCredentials(bytes: Uint8Array): Result<{ user: string; password: string }> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const { user, password }: wire.Fields<typeof wire.CREDENTIALS> = decoded.ok;
  if (typeof user !== 'string') return { reject: 'user' };
  return typeof password === 'string' ? { ok: { user, password } } : { reject: 'password' };
}

/** The reply to `/bulk/counts?model=user`. */
export function parseUserCount(bytes: Uint8Array): Result<number> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const { counts }: wire.Fields<typeof wire.COUNTS> = decoded.ok;
  const user = isRecord(counts) ? counts.user : undefined;
  return Number.isSafeInteger(user) && (user as number) >= 0 ? { ok: user as number } : { reject: 'counts' };
}
