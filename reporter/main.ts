import type { Queue } from 'bullmq';
import type { ProcessContext, ProcessDefinition } from '../common/process.ts';
import { openQueue, openWorker, type QueueName } from '../common/queues/queues.ts';
import { WebhookQueue } from '../common/queues/webhook-queue.ts';
import { problemLevel } from '../common/redis/connection/connection-error.ts';
import { FleetCounters } from '../common/redis/fleet/counters.ts';
import { watchHeartbeatInterval } from '../common/redis/fleet/heartbeat-interval.ts';
import { createHttp, listen } from '../common/runtime/http/http.ts';
import { PeriodicTask } from '../common/runtime/tasks/periodic-task.ts';
import { type Fleet, readFleet } from '../common/views/fleet.ts';
import { LiveBroadcaster } from './api/live/live-broadcaster.ts';
import { fleetMetrics } from './figures/fleet-metrics.ts';
import { HoldLog } from './figures/hold-log.ts';
import { actMetrics, reporterMetrics, viewerMetrics } from './figures/metrics.ts';
import { queueMetrics } from './figures/queue-metrics.ts';
import { hostOf } from './http/address.ts';
import { addBoard } from './http/board.ts';
import { Component } from './http/component.ts';
import { readIfAvailable } from './http/read-redis.ts';
import { addRoutes } from './http/routes.ts';
import { DropletReader } from './queries/droplet-reader.ts';
import { HealthReader } from './queries/health-reader.ts';
import { Queries } from './queries/queries.ts';
import { Alarms } from './webhooks/alarms.ts';
import { webhookProcessor } from './webhooks/deliver.ts';
import { webhookMetrics } from './webhooks/metrics.ts';

/** Redis in, answers out: answers the controllers' queries over NATS and serves HTTP. */
export const reporter: ProcessDefinition = {
  name: 'reporter',
  ownHttp: true,
  start: async (context) => {
    await startReporter(context);
  },
};

/** For tests. */
export interface Reporter {
  /** Of the HTTP server. */
  port: number;
  counters: FleetCounters;
}

export async function startReporter(context: ProcessContext): Promise<Reporter> {
  const { settings, log, clock, lifecycle, redis, health } = context;
  const { policy, status } = settings;
  const reader = new DropletReader(redis, clock, policy);
  const counters = new FleetCounters({ redis, log, lifecycle });
  const queues = openQueues(context);
  const fleet = () => readFleet({ redis, clock, policy, queues, reader });
  const fleetIfAvailable = () => readIfAvailable(health, fleet);
  fleetMetrics(context.metrics, fleetIfAvailable);
  queueMetrics(context.metrics, { redis, clock, queues }, (read) => readIfAvailable(health, read));
  const alarms = startWebhooks(context, queues.webhooks);
  watchHolds(context, fleetIfAvailable, alarms);
  watchHeartbeatInterval({ redis, policy, log, health, lifecycle });

  const app = createHttp({ lifecycle, log, health, metrics: context.metrics, auth: status });
  const component = new Component(settings, clock);
  // Before the dashboard: both use the same plugin for files, which cannot be added again below an existing prefix.
  addBoard({ app, log, health, queues, writable: status.queuesWritable });
  const sources = { redis, clock, policy, reader, fleet, log, health };
  const broadcaster = new LiveBroadcaster({ ...sources, dryRun: settings.dryRun, links: settings.links });
  lifecycle.own('live broadcaster', broadcaster, (owned) => owned.stop());
  viewerMetrics(context.metrics, broadcaster);
  const acts = actMetrics(context.metrics);
  addRoutes({
    ...sources,
    app,
    broadcaster,
    acts,
    dialect: settings.dialect,
    limits: settings,
    facts: () => component.facts(),
  });
  const port = await listen(app, status.host, context.httpPort ?? status.port);
  const address = app.server.address();
  const bound = typeof address === 'object' && address !== null ? address.address : status.host;
  component.setHost(await hostOf(bound, port, settings.localRoute));

  // After the HTTP server, so that `/readyz` shows a missing NATS meanwhile.
  const bus = await context.connectBus();
  const metrics = reporterMetrics(context.metrics);
  const { redisPrefix, ccPartition } = settings;
  const stop = new Queries({
    ...{ bus, reader, policy, log, health, metrics, counters, work: context.work },
    healthReader: new HealthReader(redis, clock, policy, reader),
    deployment: { redisPrefix, ccPartition },
    dialect: settings.dialect,
    pingRedis: () => redis.client.ping(),
  }).start();
  lifecycle.onStop('queries', stop);
  component.register(bus);
  return { port, counters };
}

function openQueues({ redis, lifecycle, log }: ProcessContext): Record<QueueName, Queue> {
  const open = (name: QueueName) => openQueue(redis, lifecycle, log, name);
  return {
    starts: open('starts'),
    restarts: open('restarts'),
    stops: open('stops'),
    slices: open('slices'),
    sync: open('sync'),
    cron: open('cron'),
    webhooks: open('webhooks'),
  };
}

const READ_HOLDS_EVERY_MS = 5_000;
/** Deliveries at once: a receiver that does not answer keeps one of them for ten seconds. */
const WEBHOOKS_AT_ONCE = 10;

/** Delivers webhooks. @returns what reports holds and processes to them; undefined: no webhook is configured */
function startWebhooks(context: ProcessContext, queue: Queue): Alarms | undefined {
  const { settings, log, lifecycle, redis } = context;
  const { webhooks: hooks, redisPrefix: prefix, ccPartition: partition } = settings;
  const metrics = webhookMetrics(context.metrics);
  if (hooks.length === 0) return undefined;
  openWorker(redis, lifecycle, log, 'webhooks', webhookProcessor({ hooks, log, metrics }), {
    concurrency: WEBHOOKS_AT_ONCE,
  });
  const onDropped = (event: string) => metrics.inc({ event, outcome: 'dropped' });
  return new Alarms(
    redis,
    new WebhookQueue({ queue, hooks, deployment: { prefix, partition }, log, onDropped }),
  );
}

/** Logs the holds that are on, and reports them to webhooks. */
function watchHolds(
  { log, lifecycle }: ProcessContext,
  read: () => Promise<Fleet | undefined>,
  alarms: Alarms | undefined,
): void {
  const holdLog = new HoldLog(log);
  const readHolds = async () => {
    try {
      const fleet = await read();
      if (fleet === undefined) return;
      holdLog.update(fleet.holds, fleet.nowMs);
      await alarms?.update(fleet);
    } catch (error) {
      log[problemLevel(error)]({ event: 'holds_not_read', err: error }, 'holds not read; retrying');
    }
  };
  const task = new PeriodicTask(READ_HOLDS_EVERY_MS, readHolds);
  lifecycle.onStop('hold log', () => task.stop());
}
