/** The table of apps: one line for each group of indices that have the same problem. Pure. */
import { absentText } from '../../../../common/explain/present/step.ts';
import { countText, formatDuration, STOP_TEXT, type Times } from '../../../../common/explain/wording.ts';
import type { AppRow } from '../../../../common/views/apps/app-list-types.ts';
import type { SlotGroup } from '../../../../common/views/apps/troubled-types.ts';
import { BOLD, CYAN, cell, DIM, type Piece, paint, RED, REVERSE, YELLOW } from '../../terminal/screen.ts';

/** A line of the table, and the app that it is about. */
export interface TableLine {
  droplet: string;
  pieces: Piece[];
}

/** A guid. */
const MAX_APP = 36;
const STATE = 8;
const MAX_INDICES = 18;

interface Column {
  state: string;
  indices: string;
  text: string;
  colour: string;
}

/** @returns the head and the lines */
export function appsTable(
  apps: readonly AppRow[],
  nowMs: number,
  times: Times,
  selected?: string,
): { head: Piece[]; lines: TableLine[] } {
  const rows = apps.map((app) => ({ app, columns: columnsOf(app, nowMs, times) }));
  const widest = (texts: readonly string[], max: number) =>
    Math.min(max, Math.max(...texts.map((text) => text.length)));
  const app = widest(['APP', ...apps.map(({ droplet }) => droplet)], MAX_APP);
  const runs = widest(['RUNS', ...apps.map(runsText)], 12);
  const all = rows.flatMap(({ columns }) => columns);
  const indices = widest(['INDEX', ...all.map((column) => column.indices)], MAX_INDICES);
  const heads = ['APP', 'RUNS', 'STATE', 'INDEX', 'WHAT HAPPENS'];
  const widths = [app, runs, STATE, indices, 0];
  return {
    head: [paint(DIM, heads.map((head, at) => cell(head, widths[at] as number)).join('  '))],
    lines: rows.flatMap(({ app: row, columns }) =>
      columns.map((column, at): TableLine => {
        const id = cell(at === 0 ? row.droplet : '', app);
        return {
          droplet: row.droplet,
          pieces: [
            at === 0 && row.droplet === selected ? paint(REVERSE, id) : paint(BOLD, id),
            `  ${cell(at === 0 ? runsText(row) : '', runs)}  `,
            paint(column.colour, cell(column.state, STATE)),
            `  ${cell(column.indices, indices)}  `,
            column.text,
          ],
        };
      }),
    ),
  };
}

function runsText({ live, wanted }: AppRow): string {
  return `${live}/${wanted}`;
}

const COLOURS: Readonly<Record<string, string>> = { FLAPPING: YELLOW };

function columnsOf({ trouble, wanted, state }: AppRow, nowMs: number, times: Times): Column[] {
  if (trouble === undefined) {
    const text = wanted === 0 ? (state ?? 'no longer listed by the controller') : '';
    return [{ state: '', indices: '', text, colour: '' }];
  }
  const groups = trouble.groups.map((group): Column => {
    const colour = COLOURS[group.state] ?? RED;
    const text = [whereText(group, nowMs), absentText(group, nowMs, times)].filter((part) => part !== '');
    return { state: group.state, indices: group.indices, text: text.join('; '), colour };
  });
  const more = trouble.missing - trouble.groups.reduce((sum, { count }) => sum + count, 0);
  const rest = more <= 0 ? [] : [{ state: '', indices: '', text: `and ${more} more`, colour: '' }];
  const stops = trouble.stops.map(({ reason, count, held }): Column => {
    const next = held === undefined ? 'being stopped' : `not stopped: hold ${held}`;
    const text = `${countText(count, 'instance')}: ${STOP_TEXT[reason]}; ${next}`;
    return { state: 'SURPLUS', indices: '', text, colour: CYAN };
  });
  return [...groups, ...rest, ...stops];
}

/** Where it ran last; empty if its crashes or attempts say more. */
function whereText({ crashes, attempts, lastInstance }: SlotGroup, nowMs: number): string {
  if (crashes > 0 || attempts !== undefined || lastInstance === undefined) return '';
  const { lastHeartbeatMs, cause, exit, deas } = lastInstance;
  const dea = deas === undefined ? lastInstance.dea : `${deas} DEAs`;
  const age = formatDuration(Math.max(0, nowMs - lastHeartbeatMs));
  if (cause === 'ended') return `ended on ${dea} ${age} ago (${exit})`;
  return cause === 'silent'
    ? `${dea} silent for ${age}`
    : deas === undefined
      ? `${dea} no longer lists it`
      : `${dea} no longer list them`;
}
