import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { parseExited, parseShutdown, parseUpdated } from '../common/messages/incoming.ts';
import { QUEUE_GROUPS, SUBJECTS } from '../common/messages/subjects.ts';
import type { ProcessContext, ProcessDefinition } from '../common/process.ts';
import { openQueue } from '../common/queues/queues.ts';
import { requestSync } from '../common/queues/sync-request.ts';
import { FleetCounters } from '../common/redis/counters.ts';
import { IN_HAND_MS } from '../common/runtime/lifecycle.ts';
import { createRateLimit } from '../common/runtime/log.ts';
import { ATTRIBUTES, SPANS, traced } from '../common/tracing/tracing.ts';
import { HEARTBEATS, HeartbeatIntake } from './heartbeats/intake.ts';
import { IngestWatermark } from './heartbeats/watermark.ts';
import { ingestMetrics } from './metrics.ts';
import { storeExit, storeShutdown, storeUpdate } from './store-events.ts';

/** What tests do with a running ingest process. */
export interface Ingest {
  /** Resolves when all that was received is stored. */
  idle(): Promise<void>;
  listening: IngestWatermark;
}

/**
 * What NATS's packets take lies outside of V8's heap, and after a burst V8 allows so little of it that it collects the whole
 * heap three times a second, for half of this process's CPU time. So the heap may grow to three times what is alive in it.
 */
const COLLECT_RARELY = '--heap-growing-percent=200';

/** NATS in, Redis out: heartbeats, exits, updates, shutdowns. */
export const ingest: ProcessDefinition = {
  name: 'ingest',
  start: async (context) => {
    setFlagsFromString(COLLECT_RARELY);
    await startIngest(context);
  },
};

/** Starts the ingest process on what `context` gives. */
export async function startIngest(context: ProcessContext): Promise<Ingest> {
  const { settings, log, clock, lifecycle, redis } = context;
  const { ccPartition } = settings;
  const { dropletLostMs } = settings.policy;
  const metrics = ingestMetrics(context.metrics);
  const limited = createRateLimit(log);
  const counters = new FleetCounters({ redis, log, lifecycle });
  const syncQueue = openQueue(redis, lifecycle, log, 'sync');
  const [bus, heartbeatBus] = await Promise.all([context.connectBus(), context.connectBus(HEARTBEATS)]);

  const rejected = (subject: string, reason: string, detail: Record<string, unknown> = {}) => {
    metrics.rejected.inc({ subject, reason });
    limited.warn(
      `${subject} ${reason}`,
      { event: 'message_rejected', subject, reason, ...detail },
      'a message that does not fit was left out',
    );
  };
  const inHand = new Set<Promise<unknown>>();
  const handle = (subject: string, work: Promise<unknown>) => {
    const done = work
      .catch((error: unknown) =>
        log.error({ event: 'message_not_stored', subject, err: error }, 'a message could not be stored'),
      )
      .finally(() => inHand.delete(done));
    inHand.add(done);
  };

  const heartbeats = new HeartbeatIntake({
    redis,
    clock,
    log,
    metrics,
    ccPartition,
    dropletLostMs,
    rejected: (reason, detail) => rejected(SUBJECTS.heartbeat, reason, detail),
  });
  const listening = new IngestWatermark({
    id: randomUUID(),
    bus: heartbeatBus,
    messages: bus,
    redis,
    clock,
    log,
    lifecycle,
    dropletLostMs,
    backlogAgeMs: () => heartbeats.backlogAgeMs(),
  });
  const idle = async () => {
    while (inHand.size > 0) await Promise.all(inHand);
    await heartbeats.idle();
  };
  lifecycle.onStop('messages in hand', idle, IN_HAND_MS);

  const group = { queue: QUEUE_GROUPS.ingest };
  const subscriptions = [
    heartbeatBus.subscribe(SUBJECTS.heartbeat, group, ({ data }) => {
      counters.increment('heartbeat_msgs_received');
      if (listening.isFresh()) heartbeats.take(data, heartbeatBus.readLagMs());
      else metrics.heartbeatsStale.inc();
    }),
    bus.subscribe(SUBJECTS.exited, group, ({ data }) => {
      counters.increment('droplet_exited_msgs_received');
      const parsed = parseExited(data, ccPartition);
      if ('reject' in parsed) return rejected(SUBJECTS.exited, parsed.reject);
      if ('foreign' in parsed) return;
      metrics.exits.inc({ reason: parsed.ok.reason });
      const { droplet, index, instance, reason } = parsed.ok;
      const attributes = {
        [ATTRIBUTES.droplet]: droplet,
        [ATTRIBUTES.index]: index,
        [ATTRIBUTES.instance]: instance,
        [ATTRIBUTES.exit]: reason,
      };
      const waitedMs = listening.stallMs;
      handle(
        SUBJECTS.exited,
        traced(SPANS.exit, attributes, () => storeExit(redis, clock, parsed.ok, { dropletLostMs }, waitedMs)),
      );
    }),
    bus.subscribe(SUBJECTS.updated, group, ({ data }) => {
      counters.increment('droplet_updated_msgs_received');
      const parsed = parseUpdated(data, ccPartition);
      if ('reject' in parsed) return rejected(SUBJECTS.updated, parsed.reject);
      if ('foreign' in parsed) return;
      metrics.updates.inc();
      const { droplet } = parsed.ok;
      handle(
        SUBJECTS.updated,
        traced(SPANS.update, { [ATTRIBUTES.droplet]: droplet }, async () => {
          await storeUpdate(redis, clock, droplet);
          await requestSync(syncQueue, redis, clock);
        }),
      );
    }),
    bus.subscribe(SUBJECTS.shutdown, group, ({ data }) => {
      const parsed = parseShutdown(data);
      if ('reject' in parsed) return rejected(SUBJECTS.shutdown, parsed.reject);
      metrics.shutdowns.inc();
      handle(SUBJECTS.shutdown, storeShutdown(redis, clock, parsed.ok.dea));
    }),
  ];
  // First of all steps of the stop: no new messages, and all that came is handed over.
  lifecycle.onStop('subscriptions', async () => {
    await Promise.all(subscriptions.map((subscription) => subscription.drain()));
  });
  await listening.start();
  return { idle, listening };
}
