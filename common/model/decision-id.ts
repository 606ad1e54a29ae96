import type { Droplet } from './droplet.ts';

const PLAIN = /^[A-Za-z0-9_-]+$/;

/** What a decision is about: `start-<index>`, `held-<index>`, `stop-<instance>`, ... */
export type Subject =
  | `${'start' | 'giveup' | 'held' | 'unplaced'}-${number}`
  | `${'stop' | 'hold'}-${string}`;

/**
 * `<droplet>.<subject>.<rev>-<time>`: unique and readable. BullMQ requires a job id that is no integer and has no `:`.
 * The time makes ids unique when a record is removed and starts again at rev 1.
 */
export function decisionId(droplet: Droplet, subject: Subject, nowMs: number): string {
  return `${encode(droplet.id)}.${encode(subject)}.${droplet.rev + 1}-${Math.floor(nowMs).toString(36)}`;
}

/** @returns when the decision was made (ms by Redis's clock), or undefined if `id` is not a decision id */
export function decidedMsOf(id: string): number | undefined {
  const [, time] = /\.\d+-([0-9a-z]+)$/.exec(id) ?? [];
  return time === undefined ? undefined : Number.parseInt(time, 36);
}

/** Percent-encodes all but letters, digits, `_` and `-`. Unlike `encodeURIComponent` it never throws. */
function encode(text: string): string {
  if (PLAIN.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const char = String.fromCharCode(byte);
    encoded += PLAIN.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
