import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { Holds, ListeningGap } from '../../../model/droplet.ts';
import { parseJson } from '../../../model/parse-json.ts';
import { isActualNotFresh, isDesiredUnavailable } from '../../../policy/fleet/freshness.ts';
import type { SilenceHolds } from '../../../policy/fleet/holds.ts';
import { type MassDelete, massDeleteAfter } from '../../../policy/fleet/mass-delete.ts';
import { type MassLoss, NO_MASS_LOSS } from '../../../policy/fleet/mass-loss.ts';
import type { PolicySettings } from '../../../policy/settings.ts';
import { watermarkGapMs } from '../../../policy/thresholds.ts';
import type { Clock } from '../../clock.ts';
import type { RedisConnections } from '../../connection/connections.ts';
import { type FleetFacts, readFleetFacts } from '../../scripts/fleet/read-fleet-facts.ts';
import { operatorHoldsOf } from './operator-holds.ts';

/** The holds that an operator may release, each with the field of the holds hash that requests it. */
export const RELEASE_FIELD = {
  mass_loss: 'release_mass_loss',
  mass_delete: 'release_mass_delete',
} as const;

export type ReleasableHold = keyof typeof RELEASE_FIELD;

/** The holds that are on for the whole deployment now. */
export async function readHolds(
  redis: RedisConnections,
  clock: Clock,
  settings: PolicySettings,
): Promise<Holds> {
  return holdsFrom(await readFleetFacts(redis), clock.nowMs(), settings);
}

/** The holds that follow from the facts. */
export function holdsFrom(facts: FleetFacts, nowMs: number, settings: PolicySettings): Holds {
  const {
    listening,
    lowestWatermarkMs,
    pass,
    desiredStateSuspect = false,
    fullPassBegunMs,
    listeningBegunMs,
  } = facts;
  // An ingestor that falls silent without signing off may still be subscribed, and receive messages that it does not store.
  const hasSilentIngestor =
    lowestWatermarkMs !== undefined && nowMs - lowestWatermarkMs > watermarkGapMs(settings);
  const massDelete = massDeleteAfter(readMassDelete(facts, nowMs), nowMs, settings);
  // A time that somebody edited so that it is no number counts as unknown.
  const succeededMs = pass !== undefined && areNumbers(pass) ? pass.succeededMs : undefined;
  const listened = listening !== undefined && areNumbers(listening) ? listening : undefined;
  return {
    desiredUnavailable: desiredStateSuspect || isDesiredUnavailable(succeededMs, nowMs, settings),
    actualNotFresh: hasSilentIngestor || isActualNotFresh(listened, nowMs, settings),
    ...silenceHoldsFrom(facts, nowMs, settings),
    ...(listeningBegunMs !== undefined && Number.isFinite(listeningBegunMs) && { listeningBegunMs }),
    massDelete: massDelete.sinceMs !== undefined,
    ...(pass === undefined || succeededMs === undefined ? {} : { lastPassBegunMs: pass.begunMs }),
    ...(fullPassBegunMs !== undefined &&
      Number.isFinite(fullPassBegunMs) && { lastFullPassBegunMs: fullPassBegunMs }),
  };
}

/** What keeps back the loss of a DEA. */
export function silenceHoldsFrom(
  facts: FleetFacts,
  nowMs: number,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): SilenceHolds {
  const { massLossEvaluated } = facts;
  const { lateDeas, sinceMs } = readMassLoss(facts);
  const listeningGaps = gapsFrom(facts, nowMs, settings);
  const operatorHolds = operatorHoldsOf(facts, nowMs);
  return {
    massLossDeas: new Set(lateDeas),
    ...(sinceMs !== undefined && { massLossSinceMs: sinceMs }),
    ...silenceFacts(facts),
    ...(listeningGaps.length > 0 && { listeningGaps }),
    ...(massLossEvaluated !== undefined && areNumbers(massLossEvaluated) ? { massLossEvaluated } : {}),
    ...(operatorHolds.length > 0 && { operatorHolds }),
  };
}

/**
 * When ingestors did not receive every heartbeat, oldest first. If they do not now, the last gap lasts: it begins with the lowest
 * watermark. A pause of less than a gap is none, because the watermarks are written a moment apart.
 */
export function gapsFrom(
  { listening, lowestWatermarkMs, listeningGaps = [] }: FleetFacts,
  nowMs: number,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
): readonly ListeningGap[] {
  const fromMs = Math.min(lowestWatermarkMs ?? nowMs, listening?.untilMs ?? nowMs);
  // A time that somebody edited so that it is no number begins no gap.
  const isOngoing = nowMs - fromMs > watermarkGapMs(settings);
  return isOngoing ? [...listeningGaps, { fromMs, toMs: Number.POSITIVE_INFINITY }] : listeningGaps;
}

/** The watermark is the lowest of all ingestors; after all have signed off, the time of the last one. */
function silenceFacts({
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
  acceptedBeforeMs: Type.Optional(Time),
});
/** State of `mass_delete` in Redis. */
export const MassDeleteSchema = Type.Object({
  sinceMs: Type.Optional(Time),
  accepted: Type.Optional(Type.Integer({ minimum: 0 })),
  listed: Type.Optional(Type.Integer({ minimum: 0 })),
  ended: Type.Optional(Type.Literal(true)),
});

const massLossState = Compile(MassLossSchema);
const massDeleteState = Compile(MassDeleteSchema);

/** Whether the stored state of the hold is invalid, because somebody edited it. */
export function isUnreadable(hold: ReleasableHold, { massLoss, massDelete }: FleetFacts): boolean {
  if (hold === 'mass_loss') return massLoss !== undefined && parseJson(massLossState, massLoss) === undefined;
  return massDelete !== undefined && parseJson(massDeleteState, massDelete) === undefined;
}

/** The stored state of the hold. An invalid one counts as none: the next tick evaluates the hold from scratch. */
export function readMassLoss({ massLoss }: FleetFacts): MassLoss {
  return (massLoss === undefined ? undefined : parseJson(massLossState, massLoss)) ?? NO_MASS_LOSS;
}

/**
 * The stored state of the hold. With an invalid one it is unknown how many droplets there should be: the hold is on from now
 * until its time is over or an operator releases it.
 */
export function readMassDelete({ massDelete }: FleetFacts, nowMs: number): MassDelete {
  if (massDelete === undefined) return {};
  return parseJson(massDeleteState, massDelete) ?? { sinceMs: nowMs, accepted: Number.MAX_SAFE_INTEGER };
}

/** Whether the hold is on. */
export function isHoldOn(
  hold: ReleasableHold,
  facts: FleetFacts,
  nowMs: number,
  settings: PolicySettings,
): boolean {
  if (hold === 'mass_loss') return readMassLoss(facts).sinceMs !== undefined;
  return holdsFrom(facts, nowMs, settings).massDelete;
}

/** Requests the release of a hold, for an operator. The next tick ends `mass_loss`, the next complete pass `mass_delete`. */
export async function requestRelease(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  hold: ReleasableHold,
  nowMs: number,
): Promise<void> {
  await client.hset(keys.holds, RELEASE_FIELD[hold], String(nowMs));
}
