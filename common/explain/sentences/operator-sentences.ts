/** Sentences about what operators did and what they pause. */
import type { HoldCovers, OperatorHold } from '../../model/operator-hold.ts';
import type { Fact } from '../facts.ts';
import { countText, indicesText, type Times } from '../wording.ts';
import { type Line, line, type StoryOptions } from './line.ts';

const COVERS_TEXT: Readonly<Record<HoldCovers, string>> = {
  starts: 'starts',
  stops: 'stops',
  all: 'starts and stops',
};

/** `starts and stops of dea-7` */
export function coversText({
  covers,
  droplet,
  dea,
}: Pick<OperatorHold, 'covers' | 'droplet' | 'dea'>): string {
  return `${COVERS_TEXT[covers]} of ${droplet ?? dea ?? 'everything'}`;
}

/** `alice paused starts of everything until 15:14:56: network maintenance (hm hold end a1b2c3)` */
export function operatorHoldLine(hold: OperatorHold, times: Times): string {
  const { by, untilMs, why, id } = hold;
  return `${by} paused ${coversText(hold)} until ${times.at(untilMs)}: ${why} (hm hold end ${id})`;
}

/** Of a decision that an operator hold keeps back: `alice until 15:14:56: network maintenance` */
export function operatorHoldText({ by, untilMs, note }: Fact, { times }: StoryOptions): string {
  const until = untilMs === undefined ? '' : ` until ${times.at(untilMs)}`;
  return `${by}${until}${note === undefined ? '' : `: ${note}`}`;
}

/** What an operator did. */
export function operatorLine(fact: Fact, { times }: StoryOptions): Line {
  const { act, by = 'an operator', covers, droplet, dea, holdId, hold, indices = [] } = fact;
  const until = fact.untilMs === undefined ? '' : ` until ${times.at(fact.untilMs)}`;
  const note = fact.note === undefined ? '' : `: ${fact.note}`;
  const id = holdId === undefined ? '' : ` (hold ${holdId})`;
  const what =
    covers === undefined
      ? ''
      : ` ${coversText({ covers, ...(droplet !== '' && { droplet }), ...(dea !== undefined && { dea }) })}`;
  switch (act) {
    case 'hold':
      return line('trouble', `${by} paused${what}${until}${note}${id}`);
    case 'end_hold':
      return line('action', `${by} resumed${what}${id}`);
    case 'release':
      return line('action', `${by} released the hold ${hold}`);
    case 'sync':
      return line('action', `${by} requested a bulk sync`);
    case 'retry': {
      const which = indices.length === 1 ? 'index' : 'indices';
      const slots =
        indices.length === 0 ? countText(0, 'index', 'indices') : `${which} ${indicesText(indices)}`;
      return line(
        'action',
        `${by} asked for another try of ${slots}: crash count and attempts are forgotten`,
      );
    }
    default:
      return line('action', `${by}: ${JSON.stringify(fact)}`);
  }
}
