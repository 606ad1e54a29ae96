import { coversText, operatorHoldLine } from '../../../../common/explain/sentences/operator-sentences.ts';
import { timesOf } from '../../../../common/explain/wording.ts';
import { isId } from '../../../../common/messages/validation.ts';
import {
  DEFAULT_HOLD_MS,
  type HoldCovers,
  MAX_HOLD_MS,
  MAX_OPERATOR_HOLDS,
  MAX_WHY_LENGTH,
} from '../../../../common/model/operator-hold.ts';
import { pause, resume } from '../../../../common/redis/fleet/holds/operator-acts.ts';
import { operatorHoldsOf } from '../../../../common/redis/fleet/holds/operator-holds.ts';
import { readFleetFacts } from '../../../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { withRedis } from '../connection/with-redis.ts';
import { FailedError, UsageError } from '../errors.ts';
import { Output } from '../output/output.ts';
import type { HoldOptions, HoldWord } from './hold-words.ts';
import { actor } from './who.ts';

/** `hm hold starts|stops|all`, `hm hold list`, `hm hold end <id>` */
export function hold(word: HoldWord, id: string | undefined, options: HoldOptions): Promise<number> {
  if (word === 'end') {
    if (id === undefined) throw new UsageError('hold end: expected the id of a hold (hm hold list)');
    return endHold(id, options);
  }
  if (id !== undefined) throw new UsageError(`hold ${word}: expected no further argument, found ${id}`);
  return word === 'list' ? listHolds(options) : placeHold(word, options);
}

function placeHold(covers: HoldCovers, options: HoldOptions): Promise<number> {
  const { droplet, dea, why = '', for: durationMs = DEFAULT_HOLD_MS } = options;
  if (why.trim() === '') throw new UsageError('hold: expected the reason: --why <text>');
  if (why.length > MAX_WHY_LENGTH)
    throw new UsageError(`hold: expected a reason of at most ${MAX_WHY_LENGTH} characters`);
  if (droplet !== undefined && dea !== undefined)
    throw new UsageError('hold: expected --droplet or --dea, found both');
  for (const guid of [droplet, dea])
    if (guid !== undefined && !isId(guid)) throw new UsageError('hold: expected a guid of 1 to 256 bytes');
  if (durationMs > MAX_HOLD_MS) throw new UsageError('hold: expected --for of at most 24h');
  return withRedis(options, async (session) => {
    const who = await actor(session);
    const request = {
      ...{ covers, why: why.trim(), durationMs },
      ...(droplet !== undefined && { droplet }),
      ...(dea !== undefined && { dea }),
    };
    const placed = await pause(session.redis, request, who);
    if (placed === 'full')
      throw new FailedError(`${MAX_OPERATOR_HOLDS} holds are on: end one first (hm hold list)`);
    const times = timesOf(who.nowMs, options.utc === true);
    const text = options.json ? JSON.stringify(placed) : operatorHoldLine(placed, times);
    await new Output().line(text);
    return 0;
  });
}

function listHolds(options: HoldOptions): Promise<number> {
  return withRedis(options, async ({ redis, now }) => {
    const nowMs = await now();
    const times = timesOf(nowMs, options.utc === true);
    const holds = operatorHoldsOf(await readFleetFacts(redis), nowMs);
    const output = new Output();
    for (const one of holds)
      await output.line(options.json ? JSON.stringify(one) : `${one.id}  ${operatorHoldLine(one, times)}`);
    if (holds.length === 0 && !options.json) await output.line('nothing is paused');
    return 0;
  });
}

function endHold(id: string, options: HoldOptions): Promise<number> {
  return withRedis(options, async (session) => {
    const ended = await resume(session.redis, id, await actor(session));
    if (ended === undefined)
      throw new FailedError(`hold ${id}: expected a hold that is on (hm hold list), found none`);
    await new Output().line(`resumed ${coversText(ended)}`);
    return 0;
  });
}
