import { MAX_ID_BYTES } from '../validation.ts';

/** The longest id with its key, quotes, braces and some white space. */
const TAIL_BYTES = MAX_ID_BYTES + 144;
const LAST_KEY = /^"dea"\s*:\s*"([\x20\x21\x23-\x5b\x5d-\x7e]{1,256})"\s*\}\s*$/;

/**
 * Reads the DEA's guid from the end of a raw heartbeat, without parsing the list: DEAs write `dea` as the last key.
 *
 * @returns undefined if `dea` is not certainly the last key; then the heartbeat must be parsed
 */
export function peekDeaId(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tail = buffer.toString('latin1', Math.max(0, buffer.length - TAIL_BYTES));
  const at = tail.lastIndexOf('"dea"');
  // A key follows a comma or a brace. A string value could not be followed by a colon.
  if (at < 1 || !/[,{]\s*$/.test(tail.slice(Math.max(0, at - 16), at))) return undefined;
  return LAST_KEY.exec(tail.slice(at))?.[1];
}
