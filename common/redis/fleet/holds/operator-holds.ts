/** The holds that operators ask for, in Redis. */
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { HOLD_COVERS, type OperatorHold } from '../../../model/operator-hold.ts';
import { parseJson } from '../../../model/parse-json.ts';
import type { RedisConnections } from '../../connection/connections.ts';
import type { FleetFacts } from '../../scripts/fleet/read-fleet-facts.ts';

const Time = Type.Number({ minimum: 0 });
/** A hold in Redis. */
export const OperatorHoldSchema = Type.Object({
  id: Type.String({ minLength: 1 }),
  covers: Type.Enum(HOLD_COVERS),
  droplet: Type.Optional(Type.String({ minLength: 1 })),
  dea: Type.Optional(Type.String({ minLength: 1 })),
  why: Type.String(),
  by: Type.String(),
  sinceMs: Time,
  untilMs: Time,
});

const holdState = Compile(OperatorHoldSchema);

/** The holds that are on, the oldest first. One that somebody edited so that it cannot be read counts as ended. */
export function operatorHoldsOf({ operatorHolds = [] }: FleetFacts, nowMs: number): OperatorHold[] {
  return operatorHolds
    .flatMap((text) => parseJson(holdState, text) ?? [])
    .filter(({ untilMs }) => untilMs > nowMs)
    .sort((a, b) => a.sinceMs - b.sinceMs);
}

/** Removes a hold. @returns the hold; undefined if there is none of that id that is still on, or somebody else has removed it */
export async function removeOperatorHold(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  id: string,
  nowMs: number,
): Promise<OperatorHold | undefined> {
  const text = await client.hget(keys.operatorHolds, id);
  if (text === null || (await client.hdel(keys.operatorHolds, id)) === 0) return undefined;
  return operatorHoldsOf({ operatorHolds: [text] }, nowMs)[0];
}
