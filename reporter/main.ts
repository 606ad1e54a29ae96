import type { Queue } from 'bullmq';
import type { ProcessContext, ProcessDefinition } from '../common/process.ts';
import { openQueue, type QueueName } from '../common/queues/queues.ts';
import { FleetCounters } from '../common/redis/counters.ts';
import { createHttp, listen } from '../common/runtime/http.ts';
import { type Fleet, readFleet } from '../common/views/fleet.ts';
import { LiveBroadcaster } from './api/live-broadcaster.ts';
import { fleetMetrics } from './figures/fleet-metrics.ts';
import { HoldLog } from './figures/hold-log.ts';
import { reporterMetrics, viewerMetrics } from './figures/metrics.ts';
import { queueMetrics } from './figures/queue-metrics.ts';
import { hostOf } from './http/address.ts';
import { addBoard } from './http/board.ts';
import { Component } from './http/component.ts';
import { UnavailableError, withTimeout } from './http/in-time.ts';
import { addRoutes } from './http/routes.ts';
import { DropletReader } from './queries/droplet-reader.ts';
import { Queries } from './queries/queries.ts';

/** Redis in, answers out: the controllers' queries over NATS, and figures over HTTP. */
export const reporter: ProcessDefinition = {
  name: 'reporter',
  ownHttp: true,
  start: async (context) => {
    await startReporter(context);
  },
};

/** What tests do with a running reporter. */
export interface Reporter {
  /** Of the HTTP server. */
  port: number;
  counters: FleetCounters;
}

/** Starts the reporter on what `context` gives. */
export async function startReporter(context: ProcessContext): Promise<Reporter> {
  const { settings, log, clock, lifecycle, redis, health } = context;
  const { policy, status } = settings;
  const reader = new DropletReader(redis, clock);
  const counters = new FleetCounters({ redis, log, lifecycle });
  const queues = openQueues(context);
  const fleet = () => readFleet({ redis, clock, policy, queues });
  const fleetIfThere = () => withTimeout(health, fleet).catch(noneIfUnavailable);
  fleetMetrics(context.metrics, fleetIfThere);
  queueMetrics(context.metrics, { redis, clock, queues }, (read) =>
    withTimeout(health, read).catch(noneIfUnavailable),
  );
  watchHolds(context, fleetIfThere);

  const app = createHttp({ lifecycle, log, health, metrics: context.metrics, auth: status });
  const component = new Component(settings, clock);
  // Before the dashboard: both serve files by the same plugin, which refuses to be added below where it is already.
  addBoard({ app, log, health, queues, writable: status.queuesWritable });
  const sources = { redis, clock, policy, reader, fleet, log, health };
  const broadcaster = new LiveBroadcaster({ ...sources, dryRun: settings.dryRun });
  lifecycle.own('live broadcaster', broadcaster, (owned) => owned.stop());
  viewerMetrics(context.metrics, broadcaster);
  addRoutes({ ...sources, app, broadcaster, facts: () => component.facts() });
  const port = await listen(app, status.host, context.httpPort ?? status.port);
  const address = app.server.address();
  const bound = typeof address === 'object' && address !== null ? address.address : status.host;
  component.servesAt(await hostOf(bound, port, settings.localRoute));

  // After the HTTP server: `/readyz` tells that NATS is waited for.
  const bus = await context.connectBus();
  const metrics = reporterMetrics(context.metrics);
  const stop = new Queries({ bus, reader, policy, log, health, metrics, counters }).start();
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
  };
}

const LOOK_AT_HOLDS_EVERY_MS = 5_000;

/** Keeps the log's readers told of the holds. */
function watchHolds({ log, lifecycle }: ProcessContext, read: () => Promise<Fleet | undefined>): void {
  const holdLog = new HoldLog(log);
  let looking: Promise<void> | undefined;
  const look = async () => {
    try {
      const fleet = await read();
      if (fleet !== undefined) holdLog.update(fleet.holds, fleet.nowMs);
    } catch (error) {
      log.debug({ event: 'holds_not_read', err: error }, 'the holds could not be read; tried again soon');
    }
  };
  const timer = setInterval(() => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
  }, LOOK_AT_HOLDS_EVERY_MS);
  lifecycle.onStop('hold log', async () => {
    clearInterval(timer);
    await looking;
  });
}

function noneIfUnavailable(error: unknown): undefined {
  if (error instanceof UnavailableError) return undefined;
  throw error;
}
