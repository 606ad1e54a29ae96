import { LogFollower } from '../../../../common/explain/follow-log.ts';
import { Stories } from '../../../../common/explain/stories.ts';
import { timesOf } from '../../../../common/explain/wording.ts';
import type { LogEntry } from '../../../../common/model/decision-log.ts';
import { pause, stay, untilToldToEnd } from '../connection/refresh-loop.ts';
import type { Query } from '../connection/with-redis.ts';
import type { ConfigOption } from '../options.ts';
import { note, Output, painter } from '../output/output.ts';

export interface WatchOptions extends ConfigOption {
  json?: boolean;
  utc?: boolean;
  /** Entries from before to begin with. */
  last: number;
}

const POLL_MS = 500;

/** `hm watch`: decisions as they fall, in the whole deployment, until Ctrl-C or until nobody reads any more. */
export async function watch(options: WatchOptions): Promise<number> {
  const { end, over } = untilToldToEnd();
  const follower = new LogFollower();
  const output = new Output();
  const format = options.json ? asJson : asText(options.utc === true);
  let begun = false;
  let unreadable = 0;
  try {
    return await stay({
      options,
      signal: end.signal,
      away: (problem) => note(`${problem}; tried again every second`),
      work: async (query) => {
        const show = async (entries: readonly LogEntry[]) => {
          const text = entries.length === 0 ? '' : await format(entries, query);
          if (text !== '' && !(await output.write(text))) end.abort();
          const more = follower.unreadable - unreadable;
          if (more > 0) note(`${more} entries of the decision log cannot be read`);
          unreadable = follower.unreadable;
        };
        if (!begun) await show(await follower.begin(query.redis, options.last));
        begun = true;
        while (!end.signal.aborted) {
          await show(await follower.read(query.redis));
          await pause(POLL_MS, end.signal);
        }
      },
    });
  } finally {
    over();
  }
}

type Format = (entries: readonly LogEntry[], query: Query) => Promise<string>;

const asJson: Format = async (entries) => entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');

function asText(utc: boolean): Format {
  const stories = new Stories();
  const paint = painter();
  // Ids and reasons come from outside: nothing of them may act on the terminal.
  const clean = (words: string) => words.replace(/\p{Cc}/gu, ' ');
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
