/** The state of the whole deployment, read from Redis. */
import type { Queue } from 'bullmq';
import type { DeaCounts } from '../model/dea-states.ts';
import type { OperatorHold } from '../model/operator-hold.ts';
import { HOLD_NAMES, type HoldName } from '../model/reasons.ts';
import type { PolicySettings } from '../policy/settings.ts';
import type { Clock } from '../redis/clock.ts';
import type { RedisConnections } from '../redis/connection/connections.ts';
import { type CounterName, readCounters } from '../redis/fleet/counters.ts';
import { gapsFrom, holdsFrom, readMassDelete, readMassLoss } from '../redis/fleet/holds/holds.ts';
import { operatorHoldsOf } from '../redis/fleet/holds/operator-holds.ts';
import {
  AUDIT_DURATION,
  heldField,
  readSummary,
  SUMMARY_FIELDS,
  TOTALS,
  type TotalName,
} from '../redis/fleet/summary.ts';
import { readSyncState, type SyncState } from '../redis/fleet/sync-state.ts';
import { type DropletReads, readWithDeas } from '../redis/records/readers.ts';
import type { TakenOver } from '../redis/scripts/fleet/publish-watermark.ts';
import { type FleetFacts, readFleetFacts } from '../redis/scripts/fleet/read-fleet-facts.ts';
import { type UnknownActual, unknownActual } from './actual-state.ts';
import { readTroubled, type Troubled } from './apps/troubled.ts';
import type { TroubledDroplet } from './apps/troubled-types.ts';
import { countDeas } from './deas.ts';
import type { ProcessesView } from './processes.ts';
import { readProcessesView, waitForNudger } from './read-processes.ts';
import { type Slots, type Status, statusOf } from './status.ts';

/** Longest time from a takeover to the first watermark of the new generation (ms). */
const JOIN_MS = 5_000;

export interface HoldState {
  hold: HoldName;
  on: boolean;
  /** Since when it is on (epoch ms); absent: it is off, or the time is not known. */
  sinceMs?: number;
  /** Droplets with a start or stop that it prevented when they were last audited. */
  droplets: number;
  /** With `mass_loss` while it is on: the DEAs whose instances are not started elsewhere. */
  silentDeas?: number;
  /** With `actual_not_fresh` while it is on: the ingestor that stood still, and whose share the others have taken over. */
  takenOver?: TakenOver;
  /** With `operator` while it is on: what operators pause, the oldest first. */
  operatorHolds?: readonly OperatorHold[];
}

/** Jobs in a queue. */
export interface QueueLength {
  /** Waiting for a worker or for the rate limit. */
  waiting: number;
  /** Waiting until they are due. */
  delayed: number;
}

export interface Fleet {
  nowMs: number;
  /** Absent: it is known what runs. */
  unknown?: UnknownActual;
  slots: Slots;
  /** Counted by the latest audits; `running`, `missing`, `flapping` and `unplaced` as in `slots`. */
  totals: Record<TotalName, number>;
  /** Duration of the latest audits, summed over all slices. */
  auditMs: number;
  holds: HoldState[];
  /** By listening time since the last heartbeat. */
  deas: DeaCounts;
  processes: ProcessesView;
  /** The apps that need attention. */
  troubled: Troubled;
  queues: Record<'starts' | 'restarts' | 'stops', QueueLength>;
  /** Absent before the first complete pass: its end, its duration, and what it listed. */
  sync: Pick<SyncState, 'succeededMs' | 'durationMs' | 'listed' | 'rejected' | 'users'>;
  counters: Record<CounterName, number>;
}

export interface FleetSources {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
  queues: Record<'starts' | 'restarts' | 'stops', Queue>;
  /** Reads droplets; by default each call reads Redis. */
  reader?: { read(ids: readonly string[]): Promise<DropletReads> };
}

/**
 * Reads the state of the deployment: two commands for each slice, in pipelines, and the worst of the troubled droplets. All that
 * shows the deployment shows this: dashboard, command line, `/varz`, `/api/fleet` and metrics.
 */
export async function readFleet({ redis, clock, policy, queues, reader }: FleetSources): Promise<Fleet> {
  const nowMs = clock.nowMs();
  const [facts, processes] = await Promise.all([readFleetFacts(redis), readProcessesView(redis, nowMs)]);
  const holds = holdsFrom(facts, nowMs, policy);
  const read = reader ?? { read: (ids: readonly string[]) => readWithDeas(redis, clock, ids) };
  const [summary, troubled, deas, starts, restarts, stops, sync, counters] = await Promise.all([
    readSummary(redis, SUMMARY_FIELDS),
    readTroubled(redis, read, { holds, workers: waitForNudger(processes), policy }),
    countDeas(redis, gapsFrom(facts, nowMs, policy), nowMs, policy),
    lengthOf(queues.starts),
    lengthOf(queues.restarts),
    lengthOf(queues.stops),
    readSyncState(redis),
    readCounters(redis),
  ]);
  const sum = (field: string) => summary.get(field) ?? 0;
  const totals = Object.fromEntries(TOTALS.map((name) => [name, sum(name)])) as Record<TotalName, number>;
  const slots = slotsOf(totals, troubled);
  const { running, missing, unplaced } = slots;
  const unknown = unknownActual(
    {
      ...{ nowMs, actualNotFresh: holds.actualNotFresh, processes, running },
      listening: facts.listening,
      lowestWatermarkMs: facts.lowestWatermarkMs,
    },
    policy,
  );
  return {
    nowMs,
    ...(unknown && { unknown }),
    slots,
    totals: { ...totals, running, missing, unplaced, flapping: slots.flapping + (slots.givenUp ?? 0) },
    auditMs: sum(AUDIT_DURATION),
    holds: holdStates(facts, nowMs, policy, (hold) => sum(heldField(hold))),
    deas,
    processes,
    troubled,
    queues: { starts, restarts, stops },
    sync,
    counters,
  };
}

/** The status of the deployment in one sentence. */
export function statusOfFleet(fleet: Fleet): Status {
  const holds = fleet.holds.filter(({ on }) => on);
  return statusOf({ ...fleet, holds, troubled: fleet.troubled.count }, fleet.nowMs);
}

/** From the records of the troubled droplets, so that it is true now; from the totals of the audits if they are too many. */
function slotsOf(totals: Record<TotalName, number>, { droplets, count, expected }: Troubled): Slots {
  // The audits may not have counted new apps yet.
  const wanted = Math.max(totals.running + totals.missing, totals.running + expected);
  if (count > droplets.length) {
    const { running, missing, flapping, unplaced } = totals;
    return { exact: false, wanted, running, missing, flapping, unplaced };
  }
  const sum = (of: (droplet: TroubledDroplet) => number) =>
    droplets.reduce((total, droplet) => total + of(droplet), 0);
  const missing = sum((droplet) => droplet.missing - droplet.states.EXPECTED);
  return {
    ...{ exact: true, wanted, missing, running: Math.max(0, wanted - missing - expected) },
    ...(expected > 0 && { expected }),
    flapping: sum(({ states }) => states.FLAPPING),
    unplaced: sum(({ states }) => states.UNPLACED),
    givenUp: sum(({ states }) => states['GIVEN UP']),
    held: sum(({ states }) => states.HELD),
    paused: sum(({ states }) => states.PAUSED),
  };
}

async function lengthOf(queue: Queue): Promise<QueueLength> {
  const {
    waiting = 0,
    prioritized = 0,
    delayed = 0,
  } = await queue.getJobCounts('waiting', 'prioritized', 'delayed');
  return { waiting: waiting + prioritized, delayed };
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
    operator: holds.operatorHolds !== undefined,
  };
  return HOLD_NAMES.map((hold) => {
    const sinceMs = on[hold] ? sinceOf(hold, facts, nowMs, policy) : undefined;
    return {
      hold,
      on: on[hold],
      ...(sinceMs === undefined ? {} : { sinceMs }),
      droplets: held(hold),
      ...(hold === 'mass_loss' && on.mass_loss && { silentDeas: holds.massLossDeas.size }),
      ...(hold === 'operator' && holds.operatorHolds && { operatorHolds: holds.operatorHolds }),
      ...(hold === 'actual_not_fresh' && on.actual_not_fresh && takenOverNow(facts)),
    };
  });
}

/** The ingestor because of which the present streak began. */
function takenOverNow({ takenOver, listening }: FleetFacts): { takenOver?: TakenOver } {
  if (takenOver === undefined || listening === undefined || !(takenOver.atMs <= listening.sinceMs)) return {};
  // The streak begins with the first watermark of the new generation, a moment after the takeover.
  if (listening.sinceMs - takenOver.atMs > JOIN_MS) return {};
  const { ingestor, host, pid } = takenOver;
  return { takenOver: { ingestor, host, pid } };
}

/** Since when a hold is on (epoch ms). Undefined: nothing was received before it, or it is on for single droplets. */
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
    case 'operator':
      return operatorHoldsOf(facts, nowMs)[0]?.sinceMs;
    case 'update_required':
      return undefined;
  }
}

/** From the lowest watermark; when ingestors have subscribed again, from their subscription. */
function notFreshSince(
  { listening, lowestWatermarkMs }: FleetFacts,
  policy: PolicySettings,
): number | undefined {
  if (listening === undefined) return undefined;
  const { sinceMs, untilMs } = listening;
  if (untilMs - sinceMs < policy.dropletLostMs) return sinceMs;
  return Math.min(untilMs, lowestWatermarkMs ?? untilMs);
}
