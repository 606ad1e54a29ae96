import { type RawHeartbeat, replacing } from './raw-heartbeat.ts';

/** Heartbeats of one DEA that wait. */
const MAX_OF_DEA = 3;

/**
 * Adds a heartbeat to those of its DEA that wait, oldest first, in the place of those that list no more than it. An older one that lists
 * more stays, because some DEAs send heartbeats that list only a new instance.
 *
 * @returns `replaced`: how many others it replaced
 */
export function withNewer<H extends RawHeartbeat>(
  waiting: readonly H[],
  newer: H,
): { waiting: H[]; replaced: number } {
  const [kept, replaced]: [H[], H[]] = [[], []];
  for (const older of waiting) (listsAtLeastAsMuch(newer, older) ? replaced : kept).push(older);
  const heartbeats = [...kept, replacing(newer, replaced)];
  if (heartbeats.length > MAX_OF_DEA) giveUp(heartbeats.splice(1, heartbeats.length - MAX_OF_DEA));
  return { waiting: heartbeats, replaced: replaced.length };
}

/** They are not stored. */
export function giveUp(heartbeats: readonly RawHeartbeat[]): void {
  for (const { settle } of heartbeats) settle?.('not_stored');
}

/** Whether the heartbeat lists at least as many instances as an older one. It is not parsed: this runs for each that waits. */
export function listsAtLeastAsMuch(
  { bytes }: Pick<RawHeartbeat, 'bytes'>,
  older: Pick<RawHeartbeat, 'bytes'>,
): boolean {
  return bytes.length >= older.bytes.length || countInstances(bytes) >= countInstances(older.bytes);
}

function countInstances(bytes: Uint8Array): number {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let count = 0;
  for (let at = text.indexOf(KEY); at >= 0; at = text.indexOf(KEY, at + KEY.length)) count++;
  return count;
}

/** Each entry of a heartbeat has this key once. */
const KEY = '"instance"';
