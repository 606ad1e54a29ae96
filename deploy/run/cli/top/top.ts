import type { ReadStream } from 'node:tty';
import { timesOf } from '../../../../common/explain/wording.ts';
import { fitLines, openScreen } from '../../terminal/screen.ts';
import { abortOnSignals, pause, runRefreshLoop } from '../connection/refresh-loop.ts';
import { withRedis } from '../connection/with-redis.ts';
import type { ConfigOption } from '../options.ts';
import { Output, usesColours } from '../output/output.ts';
import { type Figures, TopFigures } from './figures.ts';
import { keysOf } from './keys.ts';
import { furthest, topLines } from './screen.ts';
import { FIRST_VIEW, notBeyond, pressKey, type View } from './view.ts';

export interface TopOptions extends ConfigOption {
  json?: boolean;
  once?: boolean;
  utc?: boolean;
  /** The interval between two readings. */
  seconds: number;
}

/** Rates need two readings. The processes store their counts once a second, so the readings are further apart. */
const ONCE_RATES_MS = 1_500;

/** `hm top`: the whole deployment, on a live screen; once as text or JSON when the output is no terminal. */
export function top(options: TopOptions): Promise<number> {
  return options.json || options.once || !process.stdout.isTTY ? once(options) : live(options);
}

function once(options: TopOptions): Promise<number> {
  return withRedis(options, async (session) => {
    const reader = new TopFigures(options.utc === true);
    await reader.read(session);
    await pause(ONCE_RATES_MS, new AbortController().signal);
    const figures = await reader.read(session);
    const output = new Output();
    if (options.json) {
      await output.line(JSON.stringify(figures));
      return 0;
    }
    const size = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY };
    const lines = topLines(figures, { times: timesOf(figures.fleet.nowMs, options.utc === true) });
    await output.write(`${fitLines(lines, size, usesColours()).join('\n')}\n`);
    return 0;
  });
}

/** Runs until Ctrl-C or `q`. A key that asks for other data reads at once. */
async function live(options: TopOptions): Promise<number> {
  const { end, release } = abortOnSignals();
  const reader = new TopFigures(options.utc === true);
  let figures: Figures | undefined;
  let problem: string | undefined;
  let view = FIRST_VIEW;
  /** Ends the pause before the next reading. */
  let wake = new AbortController();
  const screen = openScreen(process.stdout, (size) => {
    if (figures === undefined) return ['reading ...'];
    const times = timesOf(figures.fleet.nowMs, options.utc === true);
    return fitLines(topLines(figures, { times, size, view, problem }), size, usesColours());
  });
  const releaseKeys = onKeys(process.stdin, (key) => {
    const pressed = pressKey(view, key, figures?.apps.map(({ droplet }) => droplet) ?? []);
    if (pressed === 'quit') return end.abort();
    if (readsOther(view, pressed)) wake.abort();
    const times = timesOf(figures?.fleet.nowMs ?? 0, options.utc === true);
    const { rows = 24, columns = 80 } = process.stdout;
    const shown = { times, size: { rows, columns }, view: pressed, problem };
    view = figures === undefined ? pressed : notBeyond(pressed, furthest(figures, shown));
    screen.draw();
  });
  // Emitted when the terminal is closed.
  const onClosed = () => end.abort();
  process.stdout.on('error', onClosed);
  try {
    return await runRefreshLoop({
      options,
      signal: end.signal,
      onOutage: (reason) => {
        problem = `${reason}; retried every second`;
        screen.draw();
      },
      work: async (session) => {
        while (!end.signal.aborted) {
          wake = new AbortController();
          figures = await reader.read(session, view);
          problem = undefined;
          screen.draw();
          await pause(options.seconds * 1_000, AbortSignal.any([end.signal, wake.signal]));
        }
      },
    });
  } finally {
    screen.close();
    releaseKeys();
    process.stdout.off('error', onClosed);
    release();
  }
}

/** Whether the views show different data. */
function readsOther(a: View, b: View): boolean {
  const of = ({ all, sort, filter, story }: View) => JSON.stringify([all, sort, filter, story?.droplet]);
  return of(a) !== of(b);
}

/** In raw mode keys are not echoed into the screen, and Ctrl-C arrives as a character. */
function onKeys(terminal: ReadStream, press: (key: string) => void): () => void {
  if (!terminal.isTTY) return () => undefined;
  const onData = (data: Buffer) => keysOf(data.toString()).forEach(press);
  terminal.setRawMode(true);
  terminal.on('data', onData);
  terminal.resume();
  return () => {
    terminal.off('data', onData);
    terminal.setRawMode(false);
    terminal.pause();
  };
}
