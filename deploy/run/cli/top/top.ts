import type { ReadStream } from 'node:tty';
import { timesOf } from '../../../../common/explain/wording.ts';
import { fitLines, openScreen } from '../../terminal/screen.ts';
import { pause, stay, untilToldToEnd } from '../connection/refresh-loop.ts';
import { withRedis } from '../connection/with-redis.ts';
import type { ConfigOption } from '../options.ts';
import { Output, usesColours } from '../output/output.ts';
import { type Figures, TopFigures } from './figures.ts';
import { topLines } from './screen.ts';

export interface TopOptions extends ConfigOption {
  json?: boolean;
  once?: boolean;
  utc?: boolean;
  /** Between two readings. */
  seconds: number;
}

/** Two readings give the rates; the processes store their counts once a second. */
const ONCE_RATES_MS = 1_500;

/** `hm top`: the whole deployment on a live screen; once, as text or JSON, for others than a terminal. */
export function top(options: TopOptions): Promise<number> {
  return options.json || options.once || !process.stdout.isTTY ? once(options) : live(options);
}

function once(options: TopOptions): Promise<number> {
  return withRedis(options, async (query) => {
    const reader = new TopFigures(options.utc === true);
    await reader.read(query);
    await pause(ONCE_RATES_MS, new AbortController().signal);
    const figures = await reader.read(query);
    const output = new Output();
    if (options.json) {
      await output.line(JSON.stringify(figures));
      return 0;
    }
    const size = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY };
    const lines = topLines(figures, timesOf(figures.fleet.nowMs, options.utc === true));
    await output.write(`${fitLines(lines, size, usesColours()).join('\n')}\n`);
    return 0;
  });
}

/** Until Ctrl-C or `q`. */
async function live(options: TopOptions): Promise<number> {
  const { end, over } = untilToldToEnd();
  const reader = new TopFigures(options.utc === true);
  let figures: Figures | undefined;
  let problem: string | undefined;
  const screen = openScreen(process.stdout, (size) => {
    if (figures === undefined) return ['reading ...'];
    const times = timesOf(figures.fleet.nowMs, options.utc === true);
    return fitLines(topLines(figures, times, size.rows, problem), size, usesColours());
  });
  const giveBackKeys = endOnKey(process.stdin, end);
  // The terminal is gone.
  const gone = () => end.abort();
  process.stdout.on('error', gone);
  try {
    return await stay({
      options,
      signal: end.signal,
      away: (reason) => {
        problem = `${reason}; tried again every second`;
        screen.draw();
      },
      work: async (query) => {
        while (!end.signal.aborted) {
          figures = await reader.read(query);
          problem = undefined;
          screen.draw();
          await pause(options.seconds * 1_000, end.signal);
        }
      },
    });
  } finally {
    screen.close();
    giveBackKeys();
    process.stdout.off('error', gone);
    over();
  }
}

const CTRL_C = '\x03';

/** In raw mode no key is echoed into the screen, and Ctrl-C comes as a character. */
function endOnKey(keys: ReadStream, end: AbortController): () => void {
  if (!keys.isTTY) return () => undefined;
  const onKey = (key: Buffer) => {
    if (['q', 'Q', CTRL_C].includes(key.toString())) end.abort();
  };
  keys.setRawMode(true);
  keys.on('data', onKey);
  keys.resume();
  return () => {
    keys.off('data', onKey);
    keys.setRawMode(false);
    keys.pause();
  };
}
