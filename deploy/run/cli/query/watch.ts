import { LogFollower } from '../../../../common/explain/log/follow-log.ts';
import { Stories } from '../../../../common/explain/stories.ts';
import { timesOf } from '../../../../common/explain/wording.ts';
import type { LogEntry } from '../../../../common/model/decision-log.ts';
import { abortOnSignals, pause, runRefreshLoop } from '../connection/refresh-loop.ts';
import type { RedisSession } from '../connection/with-redis.ts';
import type { ConfigOption } from '../options.ts';
import { note, Output, painter } from '../output/output.ts';

export interface WatchOptions extends ConfigOption {
  json?: boolean;
  utc?: boolean;
  /** The number of past entries to begin with. */
  last: number;
}

const POLL_MS = 500;

/** `hm watch`: decisions of the whole deployment as they are made, until Ctrl-C or the reader of the output is gone. */
export async function watch(options: WatchOptions): Promise<number> {
  const { end, release } = abortOnSignals();
  const follower = new LogFollower();
  const output = new Output();
  const format = options.json ? asJson : asText(options.utc === true);
  let started = false;
  let unreadable = 0;
  try {
    return await runRefreshLoop({
      options,
      signal: end.signal,
      onOutage: (problem) => note(`${problem}; retried every second`),
      work: async (session) => {
        const show = async (entries: readonly LogEntry[]) => {
          const text = entries.length === 0 ? '' : await format(entries, session);
          if (text !== '' && !(await output.write(text))) end.abort();
          const added = follower.unreadable - unreadable;
          if (added > 0) note(`${added} entries of the decision log cannot be read`);
          unreadable = follower.unreadable;
        };
        if (!started) await show(await follower.begin(session.redis, options.last));
        started = true;
        while (!end.signal.aborted) {
          await show(await follower.read(session.redis));
          await pause(POLL_MS, end.signal);
        }
      },
    });
  } finally {
    release();
  }
}

type Format = (entries: readonly LogEntry[], session: RedisSession) => Promise<string>;

const asJson: Format = async (entries) => entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');

function asText(utc: boolean): Format {
  const stories = new Stories();
  const paint = painter();
  // Ids and reasons come from outside: their control characters must not reach the terminal.
  const clean = (text: string) => text.replace(/\p{Cc}/gu, ' ');
  return async (entries, { now, settings }) => {
    const times = timesOf(await now(), utc);
    const { flappingTimeoutMs } = settings.policy;
    return stories
      .append(entries, { times, flappingTimeoutMs })
      .map(
        ({ atMs, droplet, tone, text }) =>
          `${paint('dim', times.at(atMs))}  ${paint('bold', clean(droplet))}  ${paint(tone, clean(text))}\n`,
      )
      .join('');
  };
}
