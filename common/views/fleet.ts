/** The deployment and its fleet as a whole, as Redis has it now. */
import type { Queue } from 'bullmq';
import { HOLD_NAMES, type HoldName } from '../model/reasons.ts';
import type { PolicySettings } from '../policy/settings.ts';
import { lateAfterMs } from '../policy/thresholds.ts';
import type { Clock } from '../redis/clock.ts';
import type { RedisConnections } from '../redis/connections.ts';
import { type CounterName, readCounters } from '../redis/counters.ts';
import { holdsFrom, readMassDelete, readMassLoss } from '../redis/holds.ts';
import { type FleetFacts, readFleetFacts } from '../redis/readers.ts';
import {
  AUDIT_DURATION,
  heldField,
  readSummary,
  SUMMARY_FIELDS,
  TOTALS,
  type TotalName,
} from '../redis/summary.ts';

export interface HoldState {
  hold: HoldName;
  on: boolean;
  /** While it is on, as far as is known: since when (epoch ms). */
  sinceMs?: number;
  /** Droplets that it kept from being started or stopped when they were last audited. */
  droplets: number;
}

/** Jobs of a queue by what they wait for. */
export interface QueueLength {
  /** For a worker, or for the rate limit. */
  waiting: number;
  /** Until they are due. */
  delayed: number;
}

export interface Fleet {
  nowMs: number;
  /** As counted at the latest audits. */
  totals: Record<TotalName, number>;
  /** How long the latest audits of all slices took together. */
  auditMs: number;
  holds: HoldState[];
  /** `late`: silent for more than two thirds of `droplet_lost`; `lost`: for longer than it. */
  deas: { alive: number; late: number; lost: number };
  queues: Record<'starts' | 'restarts' | 'stops', QueueLength>;
  sync: {
    /** End and length of the latest complete pass; absent before the first. */
    succeededMs?: number;
    durationMs?: number;
    listed?: number;
    rejected?: number;
    users?: number;
  };
  counters: Record<CounterName, number>;
}

export interface FleetSources {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
  queues: Record<'starts' | 'restarts' | 'stops', Queue>;
}

/** Reads it all; a command a slice, in one pipeline. */
export async function readFleet({ redis, clock, policy, queues }: FleetSources): Promise<Fleet> {
  const nowMs = clock.nowMs();
  const [summary, facts, deas, starts, restarts, stops, sync, counters] = await Promise.all([
    readSummary(redis, SUMMARY_FIELDS),
    readFleetFacts(redis),
    readDeaCounts(redis, nowMs, policy),
    lengthOf(queues.starts),
    lengthOf(queues.restarts),
    lengthOf(queues.stops),
    readSync(redis),
    readCounters(redis),
  ]);
  const sum = (field: string) => summary.get(field) ?? 0;
  return {
    nowMs,
    totals: Object.fromEntries(TOTALS.map((name) => [name, sum(name)])) as Record<TotalName, number>,
    auditMs: sum(AUDIT_DURATION),
    holds: holdStates(facts, nowMs, policy, (hold) => sum(heldField(hold))),
    deas,
    queues: { starts, restarts, stops },
    sync,
    counters,
  };
}

async function readDeaCounts(
  { client, keys }: RedisConnections,
  nowMs: number,
  policy: PolicySettings,
): Promise<Fleet['deas']> {
  const lateBefore = nowMs - lateAfterMs(policy);
  const lostBefore = nowMs - policy.dropletLostMs;
  const [alive, late, lost] = await Promise.all([
    client.zcount(keys.deasLastHeartbeat, lateBefore, '+inf'),
    client.zcount(keys.deasLastHeartbeat, lostBefore, `(${lateBefore}`),
    client.zcount(keys.deasLastHeartbeat, '-inf', `(${lostBefore}`),
  ]);
  return { alive, late, lost };
}

async function lengthOf(queue: Queue): Promise<QueueLength> {
  const {
    waiting = 0,
    prioritized = 0,
    delayed = 0,
  } = await queue.getJobCounts('waiting', 'prioritized', 'delayed');
  return { waiting: waiting + prioritized, delayed };
}

async function readSync({ client, keys }: RedisConnections): Promise<Fleet['sync']> {
  const names = {
    succeededMs: 'succeeded',
    durationMs: 'duration_ms',
    listed: 'listed',
    rejected: 'rejected',
    users: 'users',
  };
  const values = await client.hmget(keys.syncState, ...Object.values(names));
  return Object.fromEntries(
    Object.keys(names).flatMap((name, at) => {
      const value = values[at];
      return value == null || value === '' ? [] : [[name, Number(value)]];
    }),
  );
}

function holdStates(
  facts: FleetFacts,
  nowMs: number,
  policy: PolicySettings,
  held: (hold: HoldName) => number,
): HoldState[] {
  const holds = holdsFrom(facts, nowMs, policy);
  const on: Record<HoldName, boolean> = {
    desired_unavailable: holds.desiredUnavailable,
    update_required: held('update_required') > 0,
    actual_not_fresh: holds.actualNotFresh,
    mass_loss: readMassLoss(facts).sinceMs !== undefined,
    mass_delete: holds.massDelete,
  };
  return HOLD_NAMES.map((hold) => {
    const sinceMs = on[hold] ? sinceOf(hold, facts, nowMs, policy) : undefined;
    return { hold, on: on[hold], ...(sinceMs === undefined ? {} : { sinceMs }), droplets: held(hold) };
  });
}

/** Since when a hold that is on has been so. Unknown: since before anything was heard, or it is each droplet's own. */
function sinceOf(
  hold: HoldName,
  facts: FleetFacts,
  nowMs: number,
  policy: PolicySettings,
): number | undefined {
  switch (hold) {
    case 'desired_unavailable':
      return facts.pass === undefined ? undefined : facts.pass.succeededMs + policy.desiredStateLostMs;
    case 'actual_not_fresh':
      return notFreshSince(facts, policy);
    case 'mass_loss':
      return readMassLoss(facts).sinceMs;
    case 'mass_delete':
      return readMassDelete(facts, nowMs).sinceMs;
    case 'update_required':
      return undefined;
  }
}

/** From the last word of an ingestor, or where they listen again, from when they began to. */
function notFreshSince(
  { listening, lowestWatermarkMs }: FleetFacts,
  policy: PolicySettings,
): number | undefined {
  if (listening === undefined) return undefined;
  const { sinceMs, untilMs } = listening;
  const listened = untilMs - sinceMs >= policy.dropletLostMs;
  if (!listened) return sinceMs;
  return Math.min(untilMs, lowestWatermarkMs ?? untilMs);
}
