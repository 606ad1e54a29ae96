/** What the controller's bulk API and its credentials request answer, checked (contract: bulk API). */
import { DateTime } from 'luxon';
import type { Desired } from '../model/droplet.ts';
import type * as wire from './schemas.ts';
import { decode, isId, isRecord, type JsonRecord, type Result } from './validation.ts';

export interface BulkPage {
  /** By droplet id; go through it with `ids`: an id may be `__proto__`. */
  results: JsonRecord;
  ids: string[];
  /** Opaque; for the next page. */
  token: JsonRecord;
}

/** A page of `/bulk/apps`. */
export function parseBulkPage(bytes: Uint8Array): Result<BulkPage> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const { results, bulk_token: token }: wire.Fields<typeof wire.BULK_PAGE> = decoded.ok;
  if (!isRecord(results)) return { reject: 'results' };
  if (!isRecord(token)) return { reject: 'bulk_token' };
  return { ok: { results, ids: Object.keys(results), token } };
}

/** Index 65535 is the last that a heartbeat can have. */
const MAX_INSTANCES = 65_536;

/** One entry of a page. */
export function parseBulkEntry(id: string, given: unknown): Result<Desired> {
  if (!isId(id)) return { reject: 'id' };
  if (!isRecord(given)) return { reject: 'entry' };
  const entry: wire.Fields<typeof wire.BULK_ENTRY> = given;
  const { state, instances, version, package_state: packageState, memory } = entry;
  if (state !== 'STARTED' && state !== 'STOPPED') return { reject: 'state' };
  if (!Number.isInteger(instances) || (instances as number) < 0 || (instances as number) > MAX_INSTANCES) {
    return { reject: 'instances' };
  }
  if (!isId(version)) return { reject: 'version' };
  if (packageState !== 'STAGED' && packageState !== 'PENDING' && packageState !== 'FAILED') {
    return { reject: 'package_state' };
  }
  const updatedAtS = typeof entry.updated_at === 'string' ? parseDate(entry.updated_at) : undefined;
  if (updatedAtS === undefined) return { reject: 'updated_at' };
  return {
    ok: {
      state,
      packageState,
      instances: instances as number,
      version,
      // Only shown, so not worth losing an app for.
      memoryMb: typeof memory === 'number' && Number.isFinite(memory) && memory >= 0 ? memory : 0,
      updatedAtS,
    },
  };
}

/** Years of four digits only: all that a controller writes. */
const COMMON_DATE =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)? ?(?:Z|UTC|GMT|([+-])(\d\d):?(\d\d))?$/;

/**
 * Any usual date text as epoch seconds; without a zone it is UTC. The forms that controllers write are read
 * here, at a fiftieth of what luxon takes: a page has 500 of them.
 */
export function parseDate(text: string): number | undefined {
  const match = COMMON_DATE.exec(text.trim());
  return match === null ? parseUncommon(text.trim()) : parseCommon(match);
}

/** A group at a time: to make numbers of the whole match takes as long as all the rest. */
function parseCommon(match: RegExpExecArray): number | undefined {
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const [hour, minute, second] = [Number(match[4]), Number(match[5]), Number(match[6])];
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return undefined;
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  // 30 February would be taken for 1 March; up to the 28th every month has each day.
  if (day > 28 && new Date(ms).getUTCDate() !== day) return undefined;
  const offsetS = match[7] === undefined ? 0 : Number(match[8]) * 3_600 + Number(match[9]) * 60;
  return ms / 1000 - (match[7] === '-' ? -offsetS : offsetS);
}

const FORMATS = ['yyyy-MM-dd HH:mm:ss z', 'EEE MMM d HH:mm:ss ZZZ yyyy', 'EEE MMM d HH:mm:ss z yyyy'];

/** A date begins with its year, or names its month and has a year: a mere time of day would be one of today. */
const HAS_YEAR = /^\d{4}|[a-z]{3}.*\d{4}/i;

function parseUncommon(text: string): number | undefined {
  if (!HAS_YEAR.test(text)) return undefined;
  const zone = { zone: 'utc' };
  const readers = [
    () => DateTime.fromISO(text, zone),
    () => DateTime.fromRFC2822(text, zone),
    () => DateTime.fromHTTP(text, zone),
    () => DateTime.fromSQL(text, zone),
    ...FORMATS.map((format) => () => DateTime.fromFormat(text, format, zone)),
  ];
  for (const read of readers) {
    const date = read();
    if (date.isValid && date.toSeconds() >= 0) return Math.floor(date.toSeconds());
  }
  return undefined;
}

/** The reply of the credentials request. */
export function parseBulkCredentials(bytes: Uint8Array): Result<{ user: string; password: string }> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const { user, password }: wire.Fields<typeof wire.CREDENTIALS> = decoded.ok;
  if (typeof user !== 'string') return { reject: 'user' };
  return typeof password === 'string' ? { ok: { user, password } } : { reject: 'password' };
}

/** The reply of `/bulk/counts?model=user`. */
export function parseUserCount(bytes: Uint8Array): Result<number> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const { counts }: wire.Fields<typeof wire.COUNTS> = decoded.ok;
  const user = isRecord(counts) ? counts.user : undefined;
  return Number.isSafeInteger(user) && (user as number) >= 0 ? { ok: user as number } : { reject: 'counts' };
}
