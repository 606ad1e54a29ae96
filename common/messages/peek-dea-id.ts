import { MAX_ID_BYTES } from './validation.ts';

/** Room for the id with its key, quotes, braces and some white space. */
const TAIL_BYTES = MAX_ID_BYTES + 144;
const LAST_KEY = /^"dea"\s*:\s*"([\x20\x21\x23-\x5b\x5d-\x7e]{1,256})"\s*\}\s*$/;

/**
 * The DEA's guid, from the end of a raw heartbeat: DEAs write `dea` as the last key, so the list need not be
 * parsed to know whose it is.
 *
 * @returns undefined when the end does not look like that (then the heartbeat must be parsed)
 */
export function peekDeaId(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tail = buffer.toString('latin1', Math.max(0, buffer.length - TAIL_BYTES));
  const at = tail.lastIndexOf('"dea"');
  // As a key it follows a comma or a brace; as a text in the message it could not be followed by a colon.
  if (at < 1 || !/[,{]\s*$/.test(tail.slice(Math.max(0, at - 16), at))) return undefined;
  return LAST_KEY.exec(tail.slice(at))?.[1];
}
