/** The difference between the list of a heartbeat and the stored one. */
import { hash } from 'node:crypto';
import type { HeartbeatEntry } from '../../../common/messages/incoming/incoming.ts';
import { dropletOfLine, FINGERPRINT_LENGTH } from '../../../common/redis/fleet/dea-list.ts';

/** The line of an instance in its DEA's list: a fingerprint of the whole entry, followed by its droplet. */
export function lineOf(entry: HeartbeatEntry): string {
  const { instance, index, version, state, stateTimestampS } = entry;
  const text = `${instance}\n${index}\n${version}\n${state}\n${stateTimestampS}`;
  return hash('sha1', text, 'base64').slice(0, FINGERPRINT_LENGTH) + entry.droplet;
}

export interface ListDiff {
  /** The droplets to be written. */
  touched: Set<string>;
  /** Both lists are the same. */
  isEqual: boolean;
  /** Of the droplets to be written, those of which both lists have the same instances. */
  asBefore: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Compares two lists.
 *
 * @param incomplete lines of unfinished heartbeats: then the droplets of all lines are to be written. Absent: only those with a line
 *   in only one of the two lists.
 */
export function diffLists(
  lines: readonly string[],
  stored: readonly string[],
  incomplete: readonly string[] | undefined,
): ListDiff {
  const differing = differingDroplets(lines, stored);
  const isEqual = differing.size === 0;
  if (incomplete === undefined) return { touched: differing, isEqual, asBefore: NONE };
  const before = stored.map(dropletOfLine);
  return {
    touched: new Set([...lines.map(dropletOfLine), ...before, ...incomplete.map(dropletOfLine)]),
    isEqual,
    asBefore: new Set(before.filter((droplet) => !differing.has(droplet))),
  };
}

/** Droplets with a line in only one of the two lists. */
function differingDroplets(lines: readonly string[], stored: readonly string[]): Set<string> {
  const droplets = new Set<string>();
  const add = (line: string) => droplets.add(dropletOfLine(line));
  const before = new Set(stored);
  for (const line of lines) if (!before.delete(line)) add(line);
  before.forEach(add);
  return droplets;
}
