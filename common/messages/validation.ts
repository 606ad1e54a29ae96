/** Checks of the values in messages, and their limits (contract: messages in). */
import { isUtf8 } from 'node:buffer';

/** A parsed message, or why it is rejected: one of a small fixed set of reasons. */
export type Result<T> = { ok: T } | { reject: string };

/** A message or entry of another partition is neither valid nor rejected. */
export type Parsed<T> = Result<T> | { foreign: true };

/** A JSON object. Its keys are untrusted: one may be `__proto__`. */
export type JsonRecord = Readonly<Record<string, unknown>>;

export const MAX_ID_BYTES = 256;
/** Printable ASCII ids need no other check: each of their characters is one byte. */
export const PLAIN_ID_PATTERN = '^[\\x20-\\x7e]{1,256}$';

const PLAIN_ID = new RegExp(PLAIN_ID_PATTERN);
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds them
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** With the flag `u` a surrogate pair is one character, so this matches only unpaired surrogates. */
const LONE_SURROGATE = /\p{Surrogate}/u;

// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds them
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]+/g;
const LONE_SURROGATES = /\p{Surrogate}/gu;

/** A text as one line, because it is shown in terminals. It is cut first: no pattern is run on a long text. */
export function oneLine(text: string, maxLength: number): string {
  return text.slice(0, maxLength).replace(CONTROLS, ' ').replace(LONE_SURROGATES, '\ufffd').trim();
}

/** 1 to 256 bytes of UTF-8 without control characters. A lone surrogate has no UTF-8. */
export function isId(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  if (PLAIN_ID.test(value)) return true;
  if (value === '' || CONTROL.test(value) || LONE_SURROGATE.test(value)) return false;
  return Buffer.byteLength(value) <= MAX_ID_BYTES;
}

export function isIndex(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535;
}

/** Epoch seconds, possibly with a fraction. */
export function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** Whether the value is in a list of constants. */
export function isOneOf<T>(list: readonly T[], value: unknown): value is T {
  return list.includes(value as T);
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Decodes a JSON object. */
export function decode(bytes: Uint8Array): Result<JsonRecord> {
  const decoded = decodeJson(bytes);
  if ('reject' in decoded) return decoded;
  return isRecord(decoded.ok) ? { ok: decoded.ok } : { reject: 'no object' };
}

/** Decodes JSON of any kind. */
export function decodeJson(bytes: Uint8Array): Result<unknown> {
  if (!isUtf8(bytes)) return { reject: 'encoding' };
  try {
    return { ok: JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) };
  } catch {
    return { reject: 'json' };
  }
}

/** Whether a message or an entry belongs to `partition`: also if it names none. Undefined: `cc_partition` has the wrong type. */
export function isOfPartition(
  message: { readonly cc_partition?: unknown },
  partition: string,
): boolean | undefined {
  const named = message.cc_partition;
  if (named === undefined || named === null) return true;
  return typeof named === 'string' ? named === partition : undefined;
}
