/** Decision ids: unique for droplet, subject and commit; readable; neither an integer nor with a `:` (the queue's rule). */
import type { Droplet } from './droplet.ts';

const PLAIN = /^[A-Za-z0-9_-]+$/;

/** What a decision is about: `start-<index>`, `held-<index>`, `stop-<instance>`, ... */
export type Subject = `${'start' | 'giveup' | 'held'}-${number}` | `${'stop' | 'hold'}-${string}`;

/**
 * `<droplet>.<subject>.<rev>-<time>`. The time keeps ids apart when a record was removed and began again at rev 1.
 */
export function decisionId(droplet: Droplet, subject: Subject, nowMs: number): string {
  return `${encode(droplet.id)}.${encode(subject)}.${droplet.rev + 1}-${Math.floor(nowMs).toString(36)}`;
}

/** When a decision was made (ms on Redis's clock), by its id; `undefined` where it is no decision's id. */
export function decidedMsOf(id: string): number | undefined {
  const [, time] = /\.\d+-([0-9a-z]+)$/.exec(id) ?? [];
  return time === undefined ? undefined : Number.parseInt(time, 36);
}

/** Percent-encodes all but letters, digits, `_` and `-`; never throws, whatever the text. */
function encode(text: string): string {
  if (PLAIN.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const char = String.fromCharCode(byte);
    encoded += PLAIN.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
