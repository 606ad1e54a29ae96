import { randomUUID } from 'node:crypto';
import { HEADERS } from '../../common/messages/subjects.ts';
import type { LogEntry } from '../../common/model/decision-log.ts';
import type { Droplet, Outcome } from '../../common/model/droplet.ts';
import type { StartReason, StopReason } from '../../common/model/reasons.ts';
import type { Recheck } from '../../common/policy/recheck.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { sendDeadlineMs } from '../../common/policy/thresholds.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import type { FleetCounters } from '../../common/redis/fleet/counters.ts';
import { appendLogEntry } from '../../common/redis/scripts/operator/append-log-entry.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import { ATTRIBUTES, setSpanAttributes, traceHeaders } from '../../common/tracing/tracing.ts';
import type { Controller } from '../controller.ts';
import type { Outgoing } from '../dialect.ts';
import type { NudgerMetrics } from '../metrics.ts';
import type { NatsGate } from '../nats-gate.ts';
import type { DeliveryStore } from './delivery-store.ts';

export type RecheckResult =
  | { send: Outgoing; reason: StartReason | StopReason }
  | { drop: string }
  /** Not due before this time (epoch ms). */
  | { wait: number };

/** A decided start or stop that is to be sent. */
export interface Delivery {
  /** Of the decision. */
  id: string;
  droplet: string;
  kind: 'start' | 'stop';
  /** The reason in the job; the recheck may find another one. */
  reason: StartReason | StopReason;
  /** Further fields of its entry in the decision log. */
  logFields: Pick<LogEntry, 'index' | 'version' | 'instance'>;
  /** When it was decided (epoch ms); undefined if the record no longer has this decision as pending. */
  decidedMs(droplet: Droplet): number | undefined;
  /** Checks the decision once more, by the same pure rules that made it. */
  recheck(recheck: Recheck): RecheckResult;
}

interface Options {
  redis: Pick<RedisConnections, 'keys' | 'replicas' | 'scripts'>;
  store: DeliveryStore;
  controller: Controller;
  clock: Clock;
  log: Logger;
  metrics: NudgerMetrics;
  counters: FleetCounters;
  policy: PolicySettings;
  dryRun: boolean;
  gate: NatsGate;
}

export type DeliveryResult =
  /** Not due yet: the job is delayed for this time. */
  | { waitMs: number }
  /** NATS is disconnected: the job goes back to the queue, for a nudger that is connected. */
  | { requeue: true }
  /** `settled`: the record has the outcome too, so this decision's job is never enqueued again. */
  | { outcome: string; settled: boolean };

/** After this number of conflicts the job is dropped; the analyzer enqueues it again. */
const MAX_ATTEMPTS = 20;

/**
 * Rechecks a decided start or stop and sends it if it is still right: read, recheck, settle, publish.
 *
 * Settling stores the outcome. It succeeds only if the record is as it was checked, apart from other outcomes, and for one
 * nudger only. So one decision is never sent twice, and nothing is sent that the record contradicts at that moment.
 *
 * A crash between settling and publishing loses the message; it is decided again after `droplet_lost`. After a pause
 * there (SIGSTOP, a suspended VM) the message is not sent. If NATS does not take it in time, the connection is
 * abandoned together with the message.
 */
export async function deliver(delivery: Delivery, options: Options): Promise<DeliveryResult> {
  const { redis, store, clock, policy, metrics, log, gate } = options;
  const { kind, reason } = delivery;
  const dropped = (why: string, settled: boolean): DeliveryResult => {
    countOutcome(metrics, { kind, reason, outcome: 'dropped', why });
    return { outcome: `dropped: ${why}`, settled };
  };
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    // The wait comes before the recheck, which would be out of date after it.
    if (!(await gate.waitUntilConnected())) return { requeue: true };
    const recheck = await store.read(delivery.droplet);
    if (recheck === undefined) return dropped('unknown', false);
    const { droplet, nowMs } = recheck;
    const result = delivery.recheck(recheck);
    if ('wait' in result) {
      setSpanAttributes({ [ATTRIBUTES.outcome]: 'not_due' });
      return { waitMs: result.wait - nowMs };
    }
    const decidedMs = delivery.decidedMs(droplet);
    if (decidedMs === undefined) {
      // Cancelled, or replaced by another decision: the record has nothing to settle.
      const why = 'drop' in result ? result.drop : 'superseded';
      log.debug(
        { event: 'delivery_dropped', id: delivery.id, why },
        'delivery dropped: the record no longer has this decision',
      );
      return dropped(why, false);
    }
    if (!(await settle(delivery, result, droplet, nowMs, options))) continue;
    if ('drop' in result) return dropped(result.drop, true);
    await redis.replicas?.waitFor(redis.keys.droplet(droplet.id));
    if (clock.nowMs() - nowMs > sendDeadlineMs(policy)) {
      await revertSent(delivery, options);
      return { outcome: 'dropped: late', settled: true };
    }
    metrics.waitSeconds.observe({ kind }, (nowMs - decidedMs) / 1000);
    return { outcome: await publish(delivery, result, options), settled: true };
  }
  setSpanAttributes({ [ATTRIBUTES.outcome]: 'not_settled' });
  log.warn(
    { event: 'outcome_not_stored', id: delivery.id, attempts: MAX_ATTEMPTS },
    'outcome not stored: the record changed at every attempt; the analyzer enqueues the job again',
  );
  return { outcome: 'not settled', settled: false };
}

/** Counts the outcome of a delivery, and records it on the span. */
function countOutcome(
  metrics: NudgerMetrics,
  labels: Record<'kind' | 'reason' | 'outcome' | 'why', string>,
): void {
  metrics.outcomes.inc(labels);
  const { outcome, why } = labels;
  setSpanAttributes({ [ATTRIBUTES.outcome]: outcome, ...(why !== '' && { [ATTRIBUTES.why]: why }) });
}

async function settle(
  delivery: Delivery,
  result: Exclude<RecheckResult, { wait: number }>,
  droplet: Droplet,
  nowMs: number,
  { store, policy, dryRun }: Options,
  replaces?: Outcome,
): Promise<boolean> {
  const dropped = 'drop' in result;
  const outcome: Outcome = {
    id: delivery.id,
    outcome: dropped ? 'dropped' : 'sent',
    atMs: nowMs,
    ...(dropped ? { why: result.drop } : {}),
    // Marks this attempt: the script reports success again only for a retry of the same attempt.
    by: randomUUID().slice(0, 8),
  };
  const entry: LogEntry = {
    atMs: nowMs,
    droplet: droplet.id,
    kind: outcome.outcome,
    id: delivery.id,
    ...delivery.logFields,
    reason: dropped ? delivery.reason : result.reason,
    ...(dropped ? { why: result.drop } : {}),
    ...(dryRun && !dropped ? { dryRun } : {}),
  };
  const requeueAtMs = dropped ? nowMs : nowMs + policy.dropletLostMs + 1;
  return store.settle({ droplet, outcome, entry, requeueAtMs, ...(replaces !== undefined && { replaces }) });
}

/** Changes the outcome from sent to dropped, so that the droplet is reconciled at once, unless its outcome has changed meanwhile. */
async function revertSent(delivery: Delivery, options: Options): Promise<void> {
  const { store, clock, metrics, log } = options;
  const { kind, reason, id } = delivery;
  countOutcome(metrics, { kind, reason, outcome: 'dropped', why: 'late' });
  log.warn(
    { event: 'delivery_late', kind, id },
    'message not sent: this process was suspended between the recheck and the publish',
  );
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const droplet = (await store.read(delivery.droplet))?.droplet;
    const sent = droplet?.outcomes.get(delivery.id);
    if (droplet === undefined || sent?.outcome !== 'sent') return;
    if (await settle(delivery, { drop: 'late' }, droplet, clock.nowMs(), options, sent)) return;
  }
}

async function publish(
  delivery: Delivery,
  { send, reason }: Extract<RecheckResult, { send: unknown }>,
  options: Options,
): Promise<'sent' | 'refused' | 'unconfirmed' | 'dry_run'> {
  const { controller, metrics, counters, log, dryRun } = options;
  const { id, kind } = delivery;
  const subject = send.to;
  if (dryRun) {
    countOutcome(metrics, { kind, reason, outcome: 'dry_run', why: '' });
    log.info({ event: 'dry_run', subject, id, reason }, 'dry_run: message not sent');
    return 'dry_run';
  }
  try {
    const refused = await controller.send(send, {
      [HEADERS.messageId]: id,
      [HEADERS.decision]: id,
      [HEADERS.reason]: reason,
      ...traceHeaders(),
    });
    counters.increment(`health_${kind}_messages_sent`);
    if (refused === undefined) {
      countOutcome(metrics, { kind, reason, outcome: 'sent', why: '' });
      return 'sent';
    }
    countOutcome(metrics, { kind, reason, outcome: 'refused', why: '' });
    log.warn(
      { event: 'delivery_refused', subject, id, why: refused },
      'the controller refuses a start or stop',
    );
    await logRefusal(delivery, reason, refused, options);
    return 'refused';
  } catch (error) {
    // It may have arrived. If not, it is decided again after droplet_lost, like any start that did not help.
    countOutcome(metrics, { kind, reason, outcome: 'unconfirmed', why: '' });
    log.warn(
      { event: 'delivery_unconfirmed', subject, id, err: error },
      'connection lost during a send: the message may have arrived',
    );
    return 'unconfirmed';
  }
}

/** Logs what the controller replied. The start or stop stays sent: it is asked again as one that did not help. */
async function logRefusal(
  { id, droplet, logFields }: Delivery,
  reason: StartReason | StopReason,
  why: string,
  { redis, clock }: Options,
): Promise<void> {
  await appendLogEntry(redis, {
    ...{ atMs: clock.nowMs(), droplet, kind: 'refused', id },
    ...logFields,
    ...{ reason, why },
  });
}
