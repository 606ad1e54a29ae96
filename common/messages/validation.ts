/** The values that messages are made of, and their bounds (contract: messages in). */
import { isUtf8 } from 'node:buffer';

/** What became of a message: understood, or rejected for one of a few fixed words. */
export type Result<T> = { ok: T } | { reject: string };

/** As well it may be of another partition, which is neither. */
export type Parsed<T> = Result<T> | { foreign: true };

/** A JSON object. Its keys come from outside: `__proto__` is one like any other. */
export type JsonRecord = Readonly<Record<string, unknown>>;

export const MAX_ID_BYTES = 256;
/** Ids that need no second look: of printable ASCII, so that characters are bytes. */
export const ID_CHARACTERS = '^[\\x20-\\x7e]{1,256}$';

const PLAIN_ID = new RegExp(ID_CHARACTERS);
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** With `u` a pair is one character, so this finds only halves. */
const HALF_PAIR = /\p{Surrogate}/u;

/** Non-empty, at most 256 bytes, no control characters, no half of a surrogate pair (it has no UTF-8). */
export function isId(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  if (PLAIN_ID.test(value)) return true;
  if (value === '' || CONTROL.test(value) || HALF_PAIR.test(value)) return false;
  return Buffer.byteLength(value) <= MAX_ID_BYTES;
}

export function isIndex(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535;
}

/** Epoch seconds, with a fraction perhaps. */
export function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a JSON object. */
export function decode(bytes: Uint8Array): Result<JsonRecord> {
  if (!isUtf8(bytes)) return { reject: 'encoding' };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  } catch {
    return { reject: 'json' };
  }
  return isRecord(value) ? { ok: value } : { reject: 'no object' };
}

/** Whether a message or an entry is of our partition; without one it is. `undefined`: that is no partition. */
export function ofPartition(
  message: { readonly cc_partition?: unknown },
  partition: string,
): boolean | undefined {
  const theirs = message.cc_partition;
  if (theirs === undefined || theirs === null) return true;
  return typeof theirs === 'string' ? theirs === partition : undefined;
}
