import type { Clock } from './clock.ts';
import type { Holds } from './droplet.ts';
import { isActualNotFresh, isDesiredUnavailable } from './policy/listening.ts';
import { type MassDelete, massDeleteAfter } from './policy/mass-delete.ts';
import { type MassLoss, NO_MASS_LOSS } from './policy/mass-loss.ts';
import type { PolicySettings } from './policy/settings.ts';
import type { RedisConnections } from './redis.ts';
import { type FleetFacts, readFleetFacts } from './state.ts';

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
  return holdsFrom(await readFleetFacts(redis), clock.now(), policy);
}

/** Pure: the holds that follow from the facts. */
export function holdsFrom(facts: FleetFacts, nowMs: number, policy: PolicySettings): Holds {
  const { listening, mostSilentIngestorMs, pass } = facts;
  // A silent ingestor that never signed off may still be subscribed and swallow what it is given.
  const swallowing =
    mostSilentIngestorMs !== undefined && nowMs - mostSilentIngestorMs > policy.dropletLostMs / 3;
  const massDelete = massDeleteAfter(readMassDelete(facts), nowMs, policy);
  return {
    desiredUnavailable: isDesiredUnavailable(pass?.succeededMs, nowMs, policy),
    actualNotFresh: swallowing || isActualNotFresh(listening, nowMs, policy),
    massLossDeas: new Set(readMassLoss(facts).lateDeas),
    massDelete: massDelete.sinceMs !== undefined,
    ...(pass === undefined ? {} : { lastPassBegunMs: pass.begunMs }),
  };
}

/** State of the hold as it is kept in Redis. */
export function readMassLoss({ massLoss }: FleetFacts): MassLoss {
  return massLoss === undefined ? NO_MASS_LOSS : (JSON.parse(massLoss) as MassLoss);
}

/** State of the hold as it is kept in Redis. */
export function readMassDelete({ massDelete }: FleetFacts): MassDelete {
  return massDelete === undefined ? {} : (JSON.parse(massDelete) as MassDelete);
}
