import type { WriteStream } from 'node:tty';
import {
  BOLD,
  blank,
  CYAN,
  columnsOf,
  DIM,
  fitted,
  GREEN,
  openScreen,
  type Piece,
  paint,
  RED,
  type Size,
  YELLOW,
} from '../run/terminal/screen.ts';
import type { AgentView } from './cloud.ts';
import type { App } from './controller/apps.ts';
import { runningOf } from './fleet.ts';
import type { Line } from './story.ts';

/** All that the screen shows. */
export interface Scene {
  apps: readonly App[];
  agents: readonly AgentView[];
  story: readonly Line[];
  appsFile: string;
  /** Further lines for the head: where the servers are. */
  places: readonly string[];
  nowMs: number;
}

const COLOURS = { decision: CYAN, trouble: RED, effect: GREEN } as const;

/** The screen's lines for a terminal of this size: never longer, never more. */
export function render(draft: Scene, { columns, rows }: Size): string[] {
  const top: Piece[][] = [
    [paint(BOLD, 'The health manager keeps a small cloud as it should be.'), '  Ctrl-C ends it all.'],
    ...draft.places.map((place) => [paint(DIM, place)]),
    [],
    [
      paint(
        BOLD,
        columnsOf(
          ['APP', 10],
          ['STATE', 9],
          ['VERSION', 9],
          ['WANTED', 7],
          ['RUNNING', 8],
          ['PIDS (index:pid@agent)', 0],
        ),
      ),
    ],
    ...draft.apps.map((app) => appLine(app, draft.agents)),
    [],
    [paint(BOLD, columnsOf(['AGENT', 10], ['STATE', 26], ['PID', 9], ['RUNS', 0]))],
    ...draft.agents.map((agent) => agentLine(agent, draft.nowMs)),
    [],
  ];
  const hints = hintLines(draft);
  const room = Math.max(1, rows - top.length - hints.length - 1);
  const story = draft.story.slice(-room).map(storyLine);
  const lines = [...top, [paint(BOLD, 'WHAT HAPPENS')], ...story, ...blank(room - story.length), ...hints];
  return fitted(lines, { columns, rows });
}

function appLine(app: App, agents: readonly AgentView[]): Piece[] {
  const running = runningOf(agents, app.name);
  const wanted = app.state === 'STARTED' ? app.instances : 0;
  const pids = running.map(({ index, pid, agent }) => `${index}:${pid}@${agent.name.replace('dea-', '')}`);
  return [
    columnsOf([app.name, 10], [app.state, 9], [app.version, 9], [wanted, 7]),
    paint(running.length === wanted ? GREEN : YELLOW, String(running.length).padEnd(9)),
    pids.join(' '),
  ];
}

function agentLine(agent: AgentView, nowMs: number): Piece[] {
  const back =
    agent.backAtMs === undefined
      ? ''
      : `, next in ${Math.max(0, Math.ceil((agent.backAtMs - nowMs) / 1000))} s`;
  const runs = agent.instances.filter(({ state }) => state === 'RUNNING' || state === 'EVACUATING').length;
  return [
    columnsOf([agent.name, 10]),
    paint(agent.state === 'up' ? GREEN : RED, `${agent.state}${back}`.padEnd(27)),
    columnsOf([agent.pid ?? '-', 9], [runs, 0]),
  ];
}

function storyLine({ at, who, kind, text }: Line): Piece[] {
  return [paint(DIM, at.toTimeString().slice(0, 8)), ' ', paint(COLOURS[kind], who.padEnd(14)), ' ', text];
}

const hintLines = (draft: Scene): Piece[][] => {
  const [title = '', ...hints] = hintsOf(draft);
  return [[], [paint(BOLD, title)], ...hints.map((hint) => [hint])];
};

/** What there is to try, with the pids of now, as lines of text. */
export function hintsOf({ apps, agents, appsFile }: Pick<Scene, 'apps' | 'agents' | 'appsFile'>): string[] {
  const instance = apps.flatMap((app) => runningOf(agents, app.name)).find(({ pid }) => pid !== undefined);
  const agent = agents.find(({ state, pid }) => state === 'up' && pid !== undefined);
  const kill = (pid: number | undefined) => `  kill -9 ${pid ?? 'PID'}`.padEnd(22);
  return [
    'TRY, in another terminal',
    `${kill(instance?.pid)}an instance: back at once`,
    `${kill(agent?.pid)}a whole agent: its instances come up elsewhere within seconds`,
    `  edit, to scale, stop, start, push, create, delete:  ${appsFile}`,
  ];
}

const REDRAW_MS = 500;

/**
 * Shows the draft in place until it is closed.
 *
 * @returns gives the terminal back as it was
 */
export function openDemoScreen(terminal: WriteStream, draft: () => Scene): () => void {
  return openScreen(terminal, (size) => render(draft(), size), REDRAW_MS).close;
}
