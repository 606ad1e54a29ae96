/** The story of one app on the live screen: what should run, what does not, and what happened. */
import { factsOf } from '../../../../common/explain/facts.ts';
import { readLog } from '../../../../common/explain/log/read-log.ts';
import { presentOf, type Workers } from '../../../../common/explain/present/present.ts';
import { desiredText } from '../../../../common/explain/sentences/desired.ts';
import type { Tone } from '../../../../common/explain/sentences/line.ts';
import { shownStory } from '../../../../common/explain/shown/shown-story.ts';
import type { Times } from '../../../../common/explain/wording.ts';
import type { Holds } from '../../../../common/model/droplet.ts';
import { type UnknownActual, unknownText } from '../../../../common/views/actual-state.ts';
import { BOLD, CYAN, DIM, GREEN, type Piece, paint, RED } from '../../terminal/screen.ts';
import type { RedisSession } from '../connection/with-redis.ts';
import { readDroplet } from '../query/read-droplet.ts';

export const TONE_COLOURS: Readonly<Record<Tone, string>> = {
  ...{ trouble: RED, action: CYAN, good: GREEN, plain: '' },
};

export interface Story {
  droplet: string;
  /** Its present state, then its story, newest first. */
  present: Piece[][];
  lines: Piece[][];
}

/** Entries of its decision log. */
const MAX_ENTRIES = 200;

export async function readStory(
  session: RedisSession,
  droplet: string,
  { holds, workers, unknown }: { holds: Holds; workers: Workers; unknown?: UnknownActual | undefined },
  times: Times,
): Promise<Story> {
  const [view, log] = await Promise.all([
    readDroplet(session, droplet),
    readLog(session.redis, droplet, MAX_ENTRIES),
  ]);
  const { flappingTimeoutMs } = session.settings.policy;
  const version = view?.droplet.desired?.version;
  const story = shownStory(factsOf(log.entries, view), version, { times, flappingTimeoutMs });
  const lines = story.map(({ atMs, tone, text }): Piece[] => [
    paint(DIM, times.at(atMs)),
    '  ',
    paint(TONE_COLOURS[tone], text),
  ]);
  if (view === undefined) return { droplet, lines, present: [['there is no record of it any more']] };
  const present = presentOf(view, holds, times, workers);
  const { desired } = view.droplet;
  return {
    droplet,
    lines,
    present: [
      [desired === undefined ? 'its desired state is not known' : `wanted: ${desiredText(desired)}`],
      [
        unknown !== undefined
          ? paint(DIM, unknownText({ ...unknown, ranThen: present.running }, view.nowMs))
          : paint(
              present.running === present.wanted ? GREEN : RED,
              `${present.running} of ${present.wanted} run`,
            ),
      ],
      ...present.slots
        .filter(({ tone }) => tone !== 'good')
        .map(({ index, state, tone, text }): Piece[] => [
          `index ${index}  `,
          paint(TONE_COLOURS[tone], state),
          `  ${text}`,
        ]),
      ...present.holds.map(({ name, text }): Piece[] => [paint(BOLD, `hold ${name}`), `: ${text}`]),
    ],
  };
}
