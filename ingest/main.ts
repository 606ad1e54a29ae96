import { randomUUID } from 'node:crypto';
import { parseExited, parseShutdown, parseUpdated } from '../common/messages/incoming/incoming.ts';
import { SUBJECTS } from '../common/messages/subjects.ts';
import { deaExpiryMs } from '../common/policy/thresholds.ts';
import type { ProcessContext, ProcessDefinition } from '../common/process.ts';
import { openQueue } from '../common/queues/queues.ts';
import { requestSync } from '../common/queues/sync-request.ts';
import { FleetCounters } from '../common/redis/fleet/counters.ts';
import { collectLessOften } from '../common/runtime/heap-growth.ts';
import { DRAIN_TIMEOUT_MS } from '../common/runtime/lifecycle/lifecycle.ts';
import { ATTRIBUTES, SPANS } from '../common/tracing/tracing.ts';
import { HeartbeatServer } from './heartbeat-api/server.ts';
import { HEARTBEATS, HeartbeatIntake } from './heartbeats/intake.ts';
import { IngestWatermark } from './heartbeats/watermark/watermark.ts';
import { MessageIntake } from './message-intake.ts';
import { ingestMetrics } from './metrics.ts';
import { storeExit, storeShutdown, storeUpdate } from './store-events.ts';

/** A running ingest process, for tests. */
export interface Ingest {
  /** Resolves when every received message is stored. */
  idle(): Promise<void>;
  /** Publishes a watermark now, as the timer does: for tests that move the clock. */
  publishWatermark(): Promise<void>;
  /** Where heartbeats over HTTPS are received; undefined: over NATS only. */
  heartbeatPort?: number;
}

/** Writes what DEAs and the controller send over NATS to Redis: heartbeats, exits, updates and shutdowns. */
export const ingest: ProcessDefinition = {
  name: 'ingest',
  start: async (context) => {
    collectLessOften();
    await startIngest(context);
  },
};

/** Starts the ingest process with the connections and settings of `context`. */
export async function startIngest(context: ProcessContext): Promise<Ingest> {
  const { settings, log, clock, lifecycle, redis } = context;
  const { ccPartition } = settings;
  const { dropletLostMs } = settings.policy;
  const metrics = ingestMetrics(context.metrics);
  const counters = new FleetCounters({ redis, log, lifecycle });
  const syncQueue = openQueue(redis, lifecycle, log, 'sync');
  const [bus, heartbeatBus] = await Promise.all([context.connectBus(), context.connectBus(HEARTBEATS)]);

  const deployment = { redisPrefix: settings.redisPrefix, ccPartition };
  const messages = new MessageIntake({ deployment, counters, metrics, log });
  const heartbeats = new HeartbeatIntake({
    ...{ redis, clock, log, metrics, ccPartition, dropletLostMs },
    rejected: (reason, detail) => messages.reject(SUBJECTS.heartbeat, reason, detail),
  });
  const watermark = new IngestWatermark({
    ...{ id: randomUUID(), redis, clock, log, lifecycle, dropletLostMs },
    deployment,
    heartbeatBus,
    messageBus: bus,
    intake: messages,
    keepGapsMs: Math.max(deaExpiryMs(settings.policy), settings.policy.massLoss.holdMs),
    backlogAgeMs: () => Math.max(heartbeats.backlogAgeMs(), heartbeatServer?.backlogAgeMs() ?? 0),
    lostHeartbeats: () => heartbeats.lostHeartbeats,
  });
  const idle = async () => {
    await messages.idle();
    await heartbeats.idle();
  };
  lifecycle.onStop('messages in flight', idle, DRAIN_TIMEOUT_MS);

  messages.subscribe(heartbeatBus, SUBJECTS.heartbeat, 'heartbeat_msgs_received', (data) => {
    context.work.done();
    if (watermark.isFresh()) heartbeats.take(data, heartbeatBus.readLagMs());
    else metrics.heartbeatsStale.inc();
  });
  messages.consume(bus, {
    subject: SUBJECTS.exited,
    received: 'droplet_exited_msgs_received',
    parse: (data) => parseExited(data, ccPartition),
    accepted: ({ reason }) => metrics.exits.inc({ reason }),
    trace: {
      span: SPANS.exit,
      attributes: ({ droplet, index, instance, reason }) => ({
        [ATTRIBUTES.droplet]: droplet,
        [ATTRIBUTES.index]: index,
        [ATTRIBUTES.instance]: instance,
        [ATTRIBUTES.exit]: reason,
      }),
    },
    prepare: (exited) => {
      const [receivedMs, { stallMs }] = [clock.nowMs(), watermark];
      const waitedMs = () => stallMs + clock.nowMs() - receivedMs;
      return () => storeExit(redis, clock, exited, settings.policy, waitedMs());
    },
  });
  messages.consume(bus, {
    subject: SUBJECTS.updated,
    received: 'droplet_updated_msgs_received',
    parse: (data) => parseUpdated(data, ccPartition),
    accepted: () => metrics.updates.inc(),
    trace: { span: SPANS.update, attributes: ({ droplet }) => ({ [ATTRIBUTES.droplet]: droplet }) },
    key: ({ droplet }) => droplet,
    prepare:
      ({ droplet }) =>
      async () => {
        await storeUpdate(redis, clock, droplet);
        await requestSync(syncQueue, redis, clock);
      },
  });
  // On the heartbeats' connection, so that the messages of a DEA keep their order.
  messages.consume(heartbeatBus, {
    subject: SUBJECTS.shutdown,
    parse: parseShutdown,
    accepted: () => metrics.shutdowns.inc(),
    key: ({ dea }) => dea,
    prepare: ({ dea }) => {
      const receivedMs = clock.nowMs();
      return () => storeShutdown(redis, dea, receivedMs, settings.policy);
    },
  });
  // The steps of the stop run in reverse order: the watermark ends, then the subscriptions, then the messages in flight.
  lifecycle.onStop('subscriptions', () => messages.drain());
  const { heartbeatApi, dialect } = settings;
  const heartbeatServer =
    heartbeatApi === undefined || dialect !== 'hm9000-http'
      ? undefined
      : new HeartbeatServer({
          ...{ settings: heartbeatApi, clock, log, lifecycle, metrics, dropletLostMs },
          isFresh: () => watermark.isFresh(),
          take: (bytes, settle) => {
            context.work.done();
            counters.increment('heartbeat_msgs_received');
            heartbeats.take(bytes, 0, settle);
          },
        });
  await watermark.start();
  await heartbeatServer?.start();
  return {
    idle,
    publishWatermark: () => watermark.publishWatermark(),
    ...(heartbeatServer && { heartbeatPort: heartbeatServer.port }),
  };
}
