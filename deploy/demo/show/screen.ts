import type { WriteStream } from 'node:tty';
import {
  BOLD,
  blankLines,
  CYAN,
  DIM,
  fitLines,
  GREEN,
  openScreen,
  type Piece,
  padCells,
  paint,
  RED,
  type Size,
  wrap,
  wrapPieces,
  YELLOW,
} from '../../run/terminal/screen.ts';
import type { DeaView } from '../cloud/cloud.ts';
import { runningOf } from '../cloud/fleet.ts';
import type { App } from '../controller/apps.ts';
import { HM } from './hm-command.ts';
import type { ManagerView } from './manager.ts';
import type { Line } from './story.ts';

/** What the screen shows. */
export interface DemoView {
  apps: readonly App[];
  deas: readonly DeaView[];
  story: readonly Line[];
  /** Relative to the working directory. */
  appsFile: string;
  manager: ManagerView;
  /** Further lines for the head: where the servers are. */
  places: readonly string[];
  nowMs: number;
}

const LEVELS = { unknown: DIM, good: GREEN, warn: YELLOW, bad: RED } as const;
/** On a lower terminal nothing is blank, and the hints take turns. */
const HIGH = 34;
const HINTS_AT_ONCE = 2;
const HINT_MS = 6_000;

/** The longest name of a source. */
const SOURCE = 'health manager'.length;

const COLOURS = { decision: CYAN, trouble: RED, effect: GREEN } as const;

/** The lines of the screen, fitted to the terminal's size. */
export function render(view: DemoView, { columns, rows }: Size): string[] {
  const isLow = rows < HIGH;
  const blank: Piece[][] = isLow ? [] : [[]];
  const { level, text, processes } = view.manager;
  const pids = processes.map(({ kind, pid }) => `${kind} ${pid}`).join(' ');
  const top: Piece[][] = [
    [paint(BOLD, 'The health manager keeps a small cloud in its desired state.'), '  Ctrl-C ends it.'],
    ...(isLow ? view.places.slice(-1) : view.places).map((place) => [paint(DIM, place)]),
    ...wrap(text, columns).map((line) => [paint(LEVELS[level], line)]),
    ...(pids === '' ? [] : [[paint(DIM, `pids: ${pids}`)]]),
    ...blank,
    [
      paint(
        BOLD,
        padCells(
          ['APP', 8],
          ['STATE', 7],
          ['VERSION', 7],
          ['WANTED', 6],
          ['RUNS', 4],
          ['PIDS (index:pid@DEA)', 0],
        ),
      ),
    ],
    ...view.apps.map((app) => appLine(app, view.deas)),
    ...blank,
    [paint(BOLD, padCells(['DEA', 10], ['STATE', 26], ['PID', 9], ['RUNS', 0]))],
    ...view.deas.map((dea) => deaLine(dea, view.nowMs)),
    ...blank,
  ];
  const hints = hintLines(view, isLow);
  const room = Math.max(1, rows - top.length - hints.length - 1);
  const indent = ' '.repeat(9 + SOURCE + 1);
  // Newest first, as everywhere.
  const story = view.story
    .slice(-room)
    .reverse()
    .flatMap((line) => wrapPieces(storyLine(line), columns, indent))
    .slice(0, room);
  const lines = [...top, [paint(BOLD, 'EVENTS')], ...story, ...blankLines(room - story.length), ...hints];
  return fitLines(lines, { columns, rows });
}

function appLine(app: App, deas: readonly DeaView[]): Piece[] {
  const running = runningOf(deas, app.name);
  const wanted = app.state === 'STARTED' ? app.instances : 0;
  const pids = running.map(({ index, pid, dea }) => `${index}:${pid}@${dea.name.replace('dea-', '')}`);
  return [
    padCells([app.name, 8], [app.state, 7], [app.version, 7], [wanted, 6]),
    paint(running.length === wanted ? GREEN : YELLOW, String(running.length).padEnd(5)),
    pids.join(' '),
  ];
}

function deaLine(dea: DeaView, nowMs: number): Piece[] {
  const back =
    dea.backAtMs === undefined
      ? ''
      : `, replaced in ${Math.max(0, Math.ceil((dea.backAtMs - nowMs) / 1000))} s`;
  const runs = dea.instances.filter(({ state }) => state === 'RUNNING' || state === 'EVACUATING').length;
  return [
    padCells([dea.name, 10]),
    paint(dea.state === 'up' ? GREEN : RED, `${dea.state}${back}`.padEnd(27)),
    padCells([dea.pid ?? '-', 9], [runs, 0]),
  ];
}

function storyLine({ at, source, kind, text }: Line): Piece[] {
  return [
    paint(DIM, at.toTimeString().slice(0, 8)),
    ' ',
    paint(COLOURS[kind], source.padEnd(SOURCE)),
    ' ',
    text,
  ];
}

function hintLines(view: DemoView, isLow: boolean): Piece[][] {
  const [title = '', ...hints] = hintsOf(view);
  const first = (Math.floor(view.nowMs / HINT_MS) * HINTS_AT_ONCE) % hints.length;
  const shown = isLow ? hints.slice(first, first + HINTS_AT_ONCE) : hints;
  return [...(isLow ? [] : [[]]), [paint(BOLD, title)], ...shown.map((hint) => [hint])];
}

type HintView = Pick<DemoView, 'apps' | 'deas' | 'appsFile' | 'manager'>;

/** Suggestions for the user, with current pids, as lines of text. */
export function hintsOf({ apps, deas, appsFile, manager }: HintView): string[] {
  const instance = apps.flatMap((app) => runningOf(deas, app.name)).find(({ pid }) => pid !== undefined);
  const up = deas.flatMap(({ state, pid }) => (state === 'up' && pid !== undefined ? [pid] : []));
  const dea = up[0] ?? 'PID';
  const nudger = manager.processes.find(({ kind }) => kind === 'nudger')?.pid ?? 'PID';
  const hint = (command: string, what: string) => `  ${command.padEnd(28)} ${what}`;
  return [
    'TRY, in another terminal',
    hint(`kill -9 ${instance?.pid ?? 'PID'}`, 'an instance: it is restarted at once'),
    hint(`kill -9 ${dea}`, 'a DEA: its instances start elsewhere soon'),
    hint(`kill -9 ${up.length === 0 ? 'PIDS' : up.join(' ')}`, 'all DEAs at once: the starts are held'),
    hint(`kill -USR2 ${dea}`, 'a drain: each instance starts elsewhere first'),
    hint(`kill -9 ${nudger}`, 'our own nudger: another one runs at once'),
    hint('the dashboard and /queues', 'the same in a browser, with a login: see above'),
    hint(`${HM} top`, 'all of it; also explain web, watch, ps'),
    `  edit ${appsFile}   to scale, stop, push, delete`,
  ];
}

const REDRAW_MS = 500;

/**
 * Shows the demo on the terminal until it is closed.
 *
 * @returns closes the screen and restores the terminal
 */
export function openDemoScreen(terminal: WriteStream, view: () => DemoView): () => void {
  return openScreen(terminal, (size) => render(view(), size), REDRAW_MS).close;
}
