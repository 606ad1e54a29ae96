import { randomUUID } from 'node:crypto';
import { HEADERS, SUBJECTS } from '../common/messages/subjects.ts';
import type { LogEntry } from '../common/model/decision-log.ts';
import type { DeaLiveness, Droplet, Holds, Outcome } from '../common/model/droplet.ts';
import type { StartReason, StopReason } from '../common/model/reasons.ts';
import type { Bus } from '../common/nats/bus.ts';
import type { PolicySettings } from '../common/policy/settings.ts';
import type { Clock } from '../common/redis/clock.ts';
import type { RedisConnections } from '../common/redis/connections.ts';
import type { FleetCounters } from '../common/redis/counters.ts';
import type { Logger } from '../common/runtime/log.ts';
import { ATTRIBUTES, noteOnSpan, traceHeaders } from '../common/tracing/tracing.ts';
import type { DeliveryStore } from './delivery-store.ts';
import type { NudgerMetrics } from './metrics.ts';
import type { NatsGate } from './nats-gate.ts';

/** What the second look says: send this, drop it, or it is not due yet. */
export type RecheckResult =
  | { send: string; reason: StartReason | StopReason }
  | { drop: string }
  | { wait: number };

/** A start or a stop on its way out. */
export interface Delivery {
  id: string;
  droplet: string;
  kind: 'start' | 'stop';
  /** As it was enqueued. */
  reason: StartReason | StopReason;
  /** What the decision log says of it besides. */
  log: Pick<LogEntry, 'index' | 'version' | 'instance'>;
  /** When it was decided, if the record still holds it (ms). */
  decidedMs(droplet: Droplet): number | undefined;
  /** The second look: pure, by the same functions as the decision. */
  recheck(
    droplet: Droplet,
    deas: ReadonlyMap<string, DeaLiveness>,
    holds: Holds,
    nowMs: number,
  ): RecheckResult;
}

interface Options {
  redis: Pick<RedisConnections, 'keys' | 'replicas'>;
  store: DeliveryStore;
  bus: Bus;
  clock: Clock;
  log: Logger;
  metrics: NudgerMetrics;
  counters: FleetCounters;
  policy: PolicySettings;
  dryRun: boolean;
  /** Open while NATS is there. */
  gate: NatsGate;
}

/**
 * How a delivery ended: it waits on, goes back to the queue for a nudger that can send it, or this became of it. `settled`: the
 * record says so, too, and nobody will ask for this decision's job again.
 */
export type DeliveryResult = { waitMs: number } | { back: true } | { outcome: string; settled: boolean };

/** After so many conflicts the job is left: the analyzer makes sure of it again. */
const TRIES = 20;

/**
 * What was checked must leave within this (ms), and arrive within this of its leaving; after `droplet_lost` another start may
 * be sent for the slot, and an old one that comes after that would start a second instance.
 */
const sendDeadlineMs = ({ dropletLostMs }: PolicySettings): number => dropletLostMs / 3;

/**
 * Sends a decided start or stop, if it is still right.
 *
 * Read, check, settle, publish. Settling succeeds only on the record that was checked (its revision), and for
 * one nudger only; then the message goes out and is flushed. So nothing is ever sent twice for one decision,
 * and nothing that the record at that moment speaks against. Should this process die between settling and
 * publishing, the message is lost, and asked for again after `droplet_lost`. Should it be stopped there for a while, the
 * message is not sent any more; and one that NATS does not take in time is given up with its connection.
 */
export async function deliver(delivery: Delivery, options: Options): Promise<DeliveryResult> {
  const { redis, store, clock, policy, metrics, log, gate } = options;
  const { kind, reason } = delivery;
  const dropped = (why: string, settled: boolean): DeliveryResult => {
    countOutcome(metrics, { kind, reason, outcome: 'dropped', why });
    return { outcome: `dropped: ${why}`, settled };
  };
  for (let attempt = 0; attempt < TRIES; attempt++) {
    // What waits for NATS is checked when NATS is back, not before.
    if (!(await gate.waitUntilConnected())) return { back: true };
    const { droplet, deas, holds, nowMs } = await store.read(delivery.droplet);
    if (droplet === undefined) return dropped('unknown', false);
    const checked = delivery.recheck(droplet, deas, holds, nowMs);
    if ('wait' in checked) {
      noteOnSpan({ [ATTRIBUTES.outcome]: 'not_due' });
      return { waitMs: checked.wait - nowMs };
    }
    const decidedMs = delivery.decidedMs(droplet);
    if (decidedMs === undefined) {
      // Taken back or replaced by another decision: the record knows nothing of it that could be settled.
      const why = 'drop' in checked ? checked.drop : 'superseded';
      log.debug({ event: 'delivery_dropped', id: delivery.id, why }, 'left nothing to do');
      return dropped(why, false);
    }
    if (!(await settle(delivery, checked, droplet, nowMs, options))) continue;
    if ('drop' in checked) return dropped(checked.drop, true);
    await redis.replicas?.waitFor(redis.keys.droplet(droplet.id));
    if (clock.nowMs() - nowMs > sendDeadlineMs(policy)) {
      await revertSent(delivery, options);
      return { outcome: 'dropped: late', settled: true };
    }
    metrics.waitSeconds.observe({ kind }, (nowMs - decidedMs) / 1000);
    return { outcome: await publish(delivery, checked, options), settled: true };
  }
  noteOnSpan({ [ATTRIBUTES.outcome]: 'not_settled' });
  log.warn(
    { event: 'outcome_not_stored', id: delivery.id, tries: TRIES },
    'the record changed at every try; asked again later',
  );
  return { outcome: 'not settled', settled: false };
}

/** Counts what became of a delivery, and says so on its span. */
function countOutcome(
  metrics: NudgerMetrics,
  labels: Record<'kind' | 'reason' | 'outcome' | 'why', string>,
): void {
  metrics.outcomes.inc(labels);
  const { outcome, why } = labels;
  noteOnSpan({ [ATTRIBUTES.outcome]: outcome, ...(why !== '' && { [ATTRIBUTES.why]: why }) });
}

async function settle(
  delivery: Delivery,
  checked: Exclude<RecheckResult, { wait: number }>,
  droplet: Droplet,
  nowMs: number,
  { store, policy, dryRun }: Options,
): Promise<boolean> {
  const dropped = 'drop' in checked;
  const outcome: Outcome = {
    id: delivery.id,
    outcome: dropped ? 'dropped' : 'sent',
    atMs: nowMs,
    ...(dropped ? { why: checked.drop } : {}),
    // Tells this try from any other: only it is told once more that it has settled.
    by: randomUUID().slice(0, 8),
  };
  const entry: LogEntry = {
    atMs: nowMs,
    droplet: droplet.id,
    kind: outcome.outcome,
    id: delivery.id,
    ...delivery.log,
    reason: dropped ? delivery.reason : checked.reason,
    ...(dropped ? { why: checked.drop } : {}),
    ...(dryRun && !dropped ? { dryRun } : {}),
  };
  const requeueAtMs = dropped ? nowMs : nowMs + policy.dropletLostMs + 1;
  return store.settle({ droplet, outcome, entry, requeueAtMs });
}

/** It was settled as sent and is not: so that it is decided anew at once, unless that has happened already. */
async function revertSent(delivery: Delivery, options: Options): Promise<void> {
  const { store, clock, metrics, log } = options;
  const { kind, reason, id } = delivery;
  countOutcome(metrics, { kind, reason, outcome: 'dropped', why: 'late' });
  log.warn(
    { event: 'delivery_late', subject: SUBJECTS[kind], id },
    'this process stood still just before a message left: it is not sent',
  );
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const { droplet } = await store.read(delivery.droplet);
    if (droplet?.outcomes.get(delivery.id)?.outcome !== 'sent') return;
    if (await settle(delivery, { drop: 'late' }, droplet, clock.nowMs(), options)) return;
  }
}

async function publish(
  delivery: Delivery,
  checked: Extract<RecheckResult, { send: unknown }>,
  options: Options,
): Promise<'sent' | 'unconfirmed' | 'dry_run'> {
  const { bus, metrics, counters, log, dryRun, policy } = options;
  const { id, kind } = delivery;
  const { reason } = checked;
  const subject = SUBJECTS[kind];
  if (dryRun) {
    countOutcome(metrics, { kind, reason, outcome: 'dry_run', why: '' });
    log.info({ event: 'dry_run', subject, id, reason }, 'would be sent');
    return 'dry_run';
  }
  try {
    bus.publish(subject, checked.send, {
      [HEADERS.messageId]: id,
      [HEADERS.decision]: id,
      [HEADERS.reason]: reason,
      ...traceHeaders(),
    });
    await flushWithin(bus, sendDeadlineMs(policy));
    countOutcome(metrics, { kind, reason, outcome: 'sent', why: '' });
    counters.increment(`health_${kind}_messages_sent`);
    return 'sent';
  } catch (error) {
    // It may have arrived. If not, it is asked for again after droplet_lost, as any start that did not help.
    countOutcome(metrics, { kind, reason, outcome: 'unconfirmed', why: '' });
    log.warn(
      { event: 'delivery_unconfirmed', subject, id, err: error },
      'NATS was lost while this was sent; it may have arrived',
    );
    return 'unconfirmed';
  }
}

/** Resolves when NATS has taken what was published. @throws BusError also when it does not in time */
async function flushWithin(bus: Bus, withinMs: number): Promise<void> {
  // No AbortController, as elsewhere: one is made and aborted for every start, at a tenth of this process's CPU.
  const late = setTimeout(() => bus.abandon(), withinMs);
  try {
    await bus.flush();
  } finally {
    clearTimeout(late);
  }
}
