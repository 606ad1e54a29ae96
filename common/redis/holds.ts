import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { Holds } from '../model/droplet.ts';
import { parseJson } from '../model/parse-json.ts';
import { isActualNotFresh, isDesiredUnavailable } from '../policy/freshness.ts';
import { type MassDelete, massDeleteAfter } from '../policy/mass-delete.ts';
import { type MassLoss, NO_MASS_LOSS } from '../policy/mass-loss.ts';
import type { PolicySettings } from '../policy/settings.ts';
import { watermarkGapMs } from '../policy/thresholds.ts';
import type { Clock } from './clock.ts';
import type { RedisConnections } from './connections.ts';
import { type FleetFacts, readFleetFacts } from './scripts/fleet/read-fleet-facts.ts';

/** The holds that an operator may end, each with the field of the holds hash by which its end is asked for. */
export const RELEASE_FIELD = {
  mass_loss: 'release_mass_loss',
  mass_delete: 'release_mass_delete',
} as const;

export type ReleasableHold = keyof typeof RELEASE_FIELD;

/** The holds that are on for the whole deployment now: what Redis says, judged by the policy. */
export async function readHolds(
  redis: RedisConnections,
  clock: Clock,
  policy: PolicySettings,
): Promise<Holds> {
  return holdsFrom(await readFleetFacts(redis), clock.nowMs(), policy);
}

/** Pure: the holds that follow from the facts. */
export function holdsFrom(facts: FleetFacts, nowMs: number, policy: PolicySettings): Holds {
  const { listening, lowestWatermarkMs, pass, massLossEvaluated, desiredStateSuspect = false } = facts;
  // A silent ingestor that never signed off may still be subscribed and swallow what it is given.
  const swallowing = lowestWatermarkMs !== undefined && nowMs - lowestWatermarkMs > watermarkGapMs(policy);
  const massDelete = massDeleteAfter(readMassDelete(facts, nowMs), nowMs, policy);
  // What somebody edited into no number is not known.
  const succeededMs = pass !== undefined && areNumbers(pass) ? pass.succeededMs : undefined;
  const listened = listening !== undefined && areNumbers(listening) ? listening : undefined;
  return {
    desiredUnavailable: desiredStateSuspect || isDesiredUnavailable(succeededMs, nowMs, policy),
    actualNotFresh: swallowing || isActualNotFresh(listened, nowMs, policy),
    massLossDeas: new Set(readMassLoss(facts).lateDeas),
    ...whatWasHeard(facts),
    ...(massLossEvaluated !== undefined && areNumbers(massLossEvaluated) ? { massLossEvaluated } : {}),
    massDelete: massDelete.sinceMs !== undefined,
    ...(pass === undefined || succeededMs === undefined ? {} : { lastPassBegunMs: pass.begunMs }),
  };
}

/** By the ingestor that has had its word least lately; where all have signed off, by the last word of any. */
function whatWasHeard({
  listening,
  lowestWatermarkMs,
  lossPossibleUntilMs,
}: FleetFacts): Pick<Holds, 'heartbeatWatermarkMs' | 'lossPossibleUntilMs'> {
  const heartbeatWatermarkMs = lowestWatermarkMs ?? listening?.untilMs;
  return {
    ...(heartbeatWatermarkMs !== undefined &&
      Number.isFinite(heartbeatWatermarkMs) && { heartbeatWatermarkMs }),
    ...(lossPossibleUntilMs !== undefined && Number.isFinite(lossPossibleUntilMs) && { lossPossibleUntilMs }),
  };
}

function areNumbers(times: object): boolean {
  return Object.values(times).every(Number.isFinite);
}

const Time = Type.Number({ minimum: 0 });
/** State of `mass_loss` in Redis. */
export const MassLossSchema = Type.Object({
  sinceMs: Type.Optional(Time),
  lateDeas: Type.Array(Type.String()),
  belowSinceMs: Type.Optional(Time),
  acceptedMs: Type.Optional(Time),
});
/** State of `mass_delete` in Redis. */
export const MassDeleteSchema = Type.Object({
  sinceMs: Type.Optional(Time),
  accepted: Type.Optional(Type.Integer({ minimum: 0 })),
  listed: Type.Optional(Type.Integer({ minimum: 0 })),
});

const massLossState = Compile(MassLossSchema);
const massDeleteState = Compile(MassDeleteSchema);

/** Whether somebody edited the state of the hold into something that cannot be read. */
export function isUnreadable(hold: ReleasableHold, { massLoss, massDelete }: FleetFacts): boolean {
  if (hold === 'mass_loss') return massLoss !== undefined && parseJson(massLossState, massLoss) === undefined;
  return massDelete !== undefined && parseJson(massDeleteState, massDelete) === undefined;
}

/** State of the hold as it is kept in Redis. One that cannot be read is none: the next tick judges anew. */
export function readMassLoss({ massLoss }: FleetFacts): MassLoss {
  return (massLoss === undefined ? undefined : parseJson(massLossState, massLoss)) ?? NO_MASS_LOSS;
}

/**
 * State of the hold as it is kept in Redis. Where it cannot be read nobody knows how many droplets there should be:
 * the hold is on then, from now until its time is over or an operator ends it.
 */
export function readMassDelete({ massDelete }: FleetFacts, nowMs: number): MassDelete {
  if (massDelete === undefined) return {};
  return parseJson(massDeleteState, massDelete) ?? { sinceMs: nowMs, accepted: Number.MAX_SAFE_INTEGER };
}

/** Whether the hold is on. */
export function isOn(
  hold: ReleasableHold,
  facts: FleetFacts,
  nowMs: number,
  policy: PolicySettings,
): boolean {
  if (hold === 'mass_loss') return readMassLoss(facts).sinceMs !== undefined;
  return holdsFrom(facts, nowMs, policy).massDelete;
}

/** An operator asks for the end of a hold: the one who judges it ends it (`mass_delete`: with the next pass). */
export async function askRelease(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  hold: ReleasableHold,
  nowMs: number,
): Promise<void> {
  await client.hset(keys.holds, RELEASE_FIELD[hold], String(nowMs));
}
