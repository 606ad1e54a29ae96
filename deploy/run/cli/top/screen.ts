/** The lines of the live screen. Pure. */
import type { Times } from '../../../../common/explain/wording.ts';
import { BOLD, DIM, type Piece, paint, REVERSE, type Size, wrapPieces } from '../../terminal/screen.ts';
import { namedText } from '../query/log/named-text.ts';
import { appsTable, type TableLine } from './apps-table.ts';
import type { Figures } from './figures.ts';
import { headLines } from './head.ts';
import { type Story, TONE_COLOURS } from './story.ts';
import { FIRST_VIEW, HELP, selectedOf, type View } from './view.ts';

export interface ScreenOptions {
  times: Times;
  /** Of the terminal; absent: the output is a text without an end. */
  size?: Size;
  view?: View;
  /** Why the figures are outdated. */
  problem?: string | undefined;
}

/** A lower terminal has no room for the table of queues and rates. */
const HIGH = 34;
/** Lines of the part that the keys do not move in. */
const MIN_LIST_LINES = 4;

export function topLines(figures: Figures, options: ScreenOptions): Piece[][] {
  const { times, size, view = FIRST_VIEW, problem } = options;
  const isShort = size !== undefined && size.rows < HIGH;
  const head = headLines(figures, times, { isShort, problem, columns: size?.columns });
  if (size === undefined) {
    const everything = Number.POSITIVE_INFINITY;
    return [
      ...head,
      ...appLines(figures, view, times, everything),
      [],
      ...decisionLines(figures, view, times, everything),
    ];
  }
  const room = roomOf(head, size);
  const body = bodyLines(figures, view, times, { ...size, rows: room }).slice(0, room);
  const blank = Array.from({ length: room - body.length }, (): Piece[] => []);
  return [...head.slice(0, size.rows - 1), ...body, ...blank, keyLine(view)];
}

function roomOf(head: readonly Piece[][], { rows }: Size): number {
  return Math.max(0, rows - head.length - 1);
}

/** How many lines the list or story in which the keys move can have above its window, at most. */
export function furthest(figures: Figures, options: ScreenOptions): number {
  const { times, size, view = FIRST_VIEW, problem } = options;
  if (size === undefined) return 0;
  const isShort = size.rows < HIGH;
  const room = roomOf(headLines(figures, times, { isShort, problem, columns: size.columns }), size);
  if (view.story !== undefined)
    return Math.max(0, toldLines(figures.story, size.columns).length - (room - 1));
  const [, decisions] = sharesOf(figures, view, times, room);
  return view.pane === 'apps' ? 0 : Math.max(0, shownDecisions(figures, view).length - (decisions - 1));
}

function bodyLines(figures: Figures, view: View, times: Times, { rows: room, columns }: Size): Piece[][] {
  if (view.showsHelp) return HELP.map(([keys, what]) => [paint(BOLD, keys.padEnd(26)), what]);
  if (view.story !== undefined) return storyLines(figures.story, view.story, { rows: room, columns });
  const [forApps, forDecisions] = sharesOf(figures, view, times, room);
  return [
    ...appLines(figures, view, times, forApps),
    [],
    ...decisionLines(figures, view, times, forDecisions),
  ];
}

/** The lines for the apps and for the decisions, with their titles. */
function sharesOf(
  figures: Figures,
  view: View,
  times: Times,
  room: number,
): [apps: number, decisions: number] {
  const small = Math.max(MIN_LIST_LINES, Math.floor(room / 3));
  // What a short list leaves goes to the other one.
  const wanted = appLines(figures, view, times, Number.POSITIVE_INFINITY).length;
  const apps = Math.min(wanted, view.pane === 'apps' ? room - small - 1 : small);
  return [apps, room - apps - 1];
}

/** @param rows with the title */
function appLines(figures: Figures, view: View, times: Times, rows: number): Piece[][] {
  const { apps, fleet, moreApps } = figures;
  const title = [
    paint(BOLD, view.all ? 'ALL APPS' : 'NEEDS ATTENTION'),
    paint(DIM, `  ${countOf(figures, view)}`),
    ...filterPieces(view),
  ];
  if (apps.length === 0) return [title];
  const isLive = Number.isFinite(rows);
  const selected =
    isLive && view.pane === 'apps'
      ? selectedOf(
          view,
          apps.map(({ droplet }) => droplet),
        )
      : undefined;
  const { head, lines } = appsTable(apps, fleet.nowMs, times, selected);
  const more: Piece[][] = moreApps ? [[paint(DIM, 'more: filter with /, or hm ls')]] : [];
  return [title, head, ...windowOf(lines, selected, rows - 2), ...(isLive ? [] : more)];
}

function countOf({ apps, fleet, moreApps }: Figures, { all, filter, sort }: View): string {
  const order =
    sort === 'worst' ? (all ? 'by name' : 'worst first') : sort === 'name' ? 'by name' : 'most missing first';
  if (all || filter !== '') return `${apps.length}${moreApps ? ' of more' : ''}, ${order}`;
  const { count } = fleet.troubled;
  return count === 0 ? 'none' : `${apps.length < count ? `${apps.length} of ` : ''}${count}, ${order}`;
}

function filterPieces({ filter, isTyping }: View): Piece[] {
  if (isTyping) return [`  / ${filter}`, paint(REVERSE, ' ')];
  return filter === '' ? [] : [`  / ${filter}`];
}

/** The lines around the selected app. */
function windowOf(lines: readonly TableLine[], selected: string | undefined, rows: number): Piece[][] {
  const at = Math.max(
    0,
    lines.findIndex(({ droplet }) => droplet === selected),
  );
  const first = Math.max(0, Math.min(lines.length - rows, at - Math.floor(rows / 2)));
  return lines.slice(first, first + rows).map(({ pieces }) => pieces);
}

function shownDecisions({ latest }: Figures, { filter }: View): Figures['latest'] {
  const has = (guid: string) => guid.toLowerCase().includes(filter.toLowerCase());
  return latest.filter(({ droplet, droplets }) => droplets?.some(has) ?? has(droplet));
}

/** @param rows with the title */
function decisionLines(figures: Figures, view: View, times: Times, rows: number): Piece[][] {
  const lines = shownDecisions(figures, view).map(({ atMs, droplet, tone, text, droplets }): Piece[] => [
    paint(DIM, times.at(atMs)),
    '  ',
    ...(droplet === '' ? [] : [paint(BOLD, droplet), '  ']),
    paint(TONE_COLOURS[tone], text + namedText(droplets)),
  ]);
  return [[paint(BOLD, 'DECISIONS'), ...scrolledPiece(view.above)], ...scrolled(lines, view.above, rows - 1)];
}

function storyLines(
  story: Story | undefined,
  { droplet, above }: NonNullable<View['story']>,
  { rows, columns }: Size,
): Piece[][] {
  if (story?.droplet !== droplet) return [[paint(BOLD, droplet)], ['reading ...']];
  const head: Piece[][] = [[paint(BOLD, droplet), ...scrolledPiece(above)]];
  return [...head, ...scrolled(toldLines(story, columns), above, rows - head.length)];
}

/** Its present state and its story, which are not cut. */
function toldLines(story: Story | undefined, columns: number): Piece[][] {
  if (story === undefined) return [];
  const times = ' '.repeat(10);
  return [
    ...story.present.flatMap((line) => wrapPieces(line, columns, '  ')),
    [],
    ...story.lines.flatMap((line) => wrapPieces(line, columns, times)),
  ];
}

function scrolledPiece(above: number): Piece[] {
  return above === 0 ? [] : [paint(DIM, '  scrolled; g: the latest')];
}

/** The first lines, or those after the ones above the window. */
function scrolled(lines: readonly Piece[][], above: number, rows: number): Piece[][] {
  if (!Number.isFinite(rows)) return [...lines];
  const first = Math.min(above, Math.max(0, lines.length - rows));
  return lines.slice(first, first + rows);
}

const KEYS = {
  list: 'q quit,? help,up/down select,Enter story,/ filter,s sort,a all,Tab other',
  story: 'q quit,? help,up/down scroll,Esc back',
  filter: 'Enter take the filter,Esc no filter',
  help: 'q quit,Esc back',
} as const;

/** Fits into 80 columns. */
function keyLine({ isTyping, story, showsHelp }: View): Piece[] {
  const of = showsHelp ? 'help' : isTyping ? 'filter' : story !== undefined ? 'story' : 'list';
  return KEYS[of].split(',').flatMap((text) => {
    const [key = '', ...what] = text.split(' ');
    return [paint(REVERSE, key), ` ${what.join(' ')}  `];
  });
}
