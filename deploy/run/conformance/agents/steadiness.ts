/** Why two heartbeats of one agent differ although nothing changed. */
import type { HeartbeatEntry } from '../../../../common/messages/incoming/incoming.ts';

/** @returns what differs although every instance has the same state; undefined if an instance changed */
export function needlessChange(
  before: readonly HeartbeatEntry[],
  now: readonly HeartbeatEntry[],
): string | undefined {
  if (before.length !== now.length) return undefined;
  const known = new Map(before.map((entry) => [entry.instance, entry]));
  let isRestamped = false;
  for (const entry of now) {
    const other = known.get(entry.instance);
    if (other === undefined || other.state !== entry.state || !isSameSlot(other, entry)) return undefined;
    isRestamped ||= other.stateTimestampS !== entry.stateTimestampS;
  }
  if (isRestamped) return 'state_timestamp changes while the state does not';
  const isReordered = now.some(({ instance }, at) => instance !== before[at]?.instance);
  return isReordered ? 'the order of the list changes' : 'other fields, spaces or the form of numbers change';
}

/** Whether both name the same droplet, version and index. */
export function isSameSlot(a: HeartbeatEntry, b: HeartbeatEntry): boolean {
  return a.droplet === b.droplet && a.version === b.version && a.index === b.index;
}
