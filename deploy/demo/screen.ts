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
  YELLOW,
} from '../run/terminal/screen.ts';
import type { DeaView } from './cloud.ts';
import type { App } from './controller/apps.ts';
import { runningOf } from './fleet.ts';
import type { Line } from './story.ts';

/** What the screen shows. */
export interface DemoView {
  apps: readonly App[];
  deas: readonly DeaView[];
  story: readonly Line[];
  appsFile: string;
  /** Further lines for the head: where the servers are. */
  places: readonly string[];
  nowMs: number;
}

const COLOURS = { decision: CYAN, trouble: RED, effect: GREEN } as const;

/** The lines of the screen, fitted to the terminal's size. */
export function render(view: DemoView, { columns, rows }: Size): string[] {
  const top: Piece[][] = [
    [paint(BOLD, 'The health manager keeps a small cloud in its desired state.'), '  Ctrl-C ends the demo.'],
    ...view.places.map((place) => [paint(DIM, place)]),
    [],
    [
      paint(
        BOLD,
        padCells(
          ['APP', 10],
          ['STATE', 9],
          ['VERSION', 9],
          ['WANTED', 7],
          ['RUNNING', 8],
          ['PIDS (index:pid@DEA)', 0],
        ),
      ),
    ],
    ...view.apps.map((app) => appLine(app, view.deas)),
    [],
    [paint(BOLD, padCells(['DEA', 10], ['STATE', 26], ['PID', 9], ['RUNS', 0]))],
    ...view.deas.map((dea) => deaLine(dea, view.nowMs)),
    [],
  ];
  const hints = hintLines(view);
  const room = Math.max(1, rows - top.length - hints.length - 1);
  const story = view.story.slice(-room).map(storyLine);
  const lines = [...top, [paint(BOLD, 'EVENTS')], ...story, ...blankLines(room - story.length), ...hints];
  return fitLines(lines, { columns, rows });
}

function appLine(app: App, deas: readonly DeaView[]): Piece[] {
  const running = runningOf(deas, app.name);
  const wanted = app.state === 'STARTED' ? app.instances : 0;
  const pids = running.map(({ index, pid, dea }) => `${index}:${pid}@${dea.name.replace('dea-', '')}`);
  return [
    padCells([app.name, 10], [app.state, 9], [app.version, 9], [wanted, 7]),
    paint(running.length === wanted ? GREEN : YELLOW, String(running.length).padEnd(9)),
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
  return [paint(DIM, at.toTimeString().slice(0, 8)), ' ', paint(COLOURS[kind], source.padEnd(14)), ' ', text];
}

const hintLines = (view: DemoView): Piece[][] => {
  const [title = '', ...hints] = hintsOf(view);
  return [[], [paint(BOLD, title)], ...hints.map((hint) => [hint])];
};

/** Suggestions for the user, with current pids, as lines of text. */
export function hintsOf({ apps, deas, appsFile }: Pick<DemoView, 'apps' | 'deas' | 'appsFile'>): string[] {
  const instance = apps.flatMap((app) => runningOf(deas, app.name)).find(({ pid }) => pid !== undefined);
  const dea = deas.find(({ state, pid }) => state === 'up' && pid !== undefined);
  const kill = (pid: number | undefined) => `  kill -9 ${pid ?? 'PID'}`.padEnd(22);
  return [
    'TRY, in another terminal',
    `${kill(instance?.pid)}an instance: it is restarted at once`,
    `${kill(dea?.pid)}a whole DEA: its instances start elsewhere within seconds`,
    `  edit, to scale, stop, start, push, create, delete:  ${appsFile}`,
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
