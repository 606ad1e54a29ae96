/** What one hold keeps back at about the same time, as one line. Pure. */
import type { HoldName } from '../../model/reasons.ts';
import type { Held, Line } from '../sentences/line.ts';
import { countText } from '../wording.ts';

interface Row extends Line {
  atMs: number;
  /** Absent: all lines are about the same one. */
  droplet?: string;
}

/** A line, or the line of a group. */
export interface ShownRow {
  atMs: number;
  tone: Line['tone'];
  text: string;
  /** The hold that the line names. */
  hold?: HoldName;
  /** Of a group about several droplets. */
  droplets?: string[];
}

/** A group has at least this number of lines. */
const MIN_ROWS = 3;
/** The lines of a group are within this time of its first one. */
const WITHIN_MS = 60_000;

/** @param rows oldest first. @returns them, oldest first; a group is where its first line was */
export function groupHeld<R extends Row>(rows: readonly R[]): (Omit<R, 'held'> & ShownRow)[] {
  const groups = new Map<R, R[]>();
  const open = new Map<string, R>();
  for (const row of rows) {
    const key = row.held && JSON.stringify([row.held.hold, row.held.what, row.held.who]);
    const first = key === undefined ? undefined : open.get(key);
    if (first !== undefined && row.atMs - first.atMs <= WITHIN_MS) {
      groups.get(first)?.push(row);
      continue;
    }
    groups.set(row, [row]);
    if (key !== undefined) open.set(key, row);
  }
  const small = [...groups.values()].filter((members) => members.length < MIN_ROWS);
  const alone = new Set(small.flat());
  return rows.flatMap((row) => {
    const { held, ...line } = row;
    const hold = held && { hold: held.hold };
    if (alone.has(row)) return [{ ...line, ...hold }];
    const members = groups.get(row);
    if (members === undefined || held === undefined) return [];
    const droplets = [...new Set(members.flatMap(({ droplet }) => droplet ?? []))];
    const text = groupText(members, held, droplets.length);
    if (droplets.length < 2) return [{ ...line, ...hold, text }];
    return [{ ...line, ...hold, text, droplet: '', droplets }];
  });
}

/** `36 indices of 12 apps are not started: hold mass_loss` */
function groupText(members: readonly Row[], { hold, what, who }: Held, droplets: number): string {
  const count = members.reduce((sum, { held }) => sum + (held?.count ?? 1), 0);
  const slots = what === 'stop' ? countText(count, 'instance') : countText(count, 'index', 'indices');
  const of = droplets < 2 ? '' : ` of ${droplets} apps`;
  const done = what === 'stop' ? 'stopped' : 'started';
  return `${slots}${of} are not ${done}: hold ${hold}${who === undefined ? '' : ` (${who})`}`;
}
