/** The metrics registry of a process, and the metrics that all processes have. */
import { Counter, Gauge, Histogram, type LabelValues, Registry } from 'prom-client';
import type { Health } from './health.ts';

/**
 * The useful part of prom-client's default metrics. The full set watches the event loop and the garbage collector all the
 * time, which costs more CPU than a steady fleet.
 */
function processMetrics(registers: Registry[]): void {
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time of this process',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of this process',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: 'process_start_time_seconds',
    help: "When this process started, by its host's clock",
    registers,
  }).set(Math.round(Date.now() / 1000 - process.uptime()));
}

/** Begins these series at zero. Prometheus counts no increase for the first value of a series, so an alert would miss it. */
export function beginAtZero<L extends string>(
  counter: Counter<L>,
  series: readonly LabelValues<L>[],
): Counter<L> {
  for (const labels of series) counter.inc(labels, 0);
  return counter;
}

/** @param name the process; a label of every metric */
export function createRegistry(name: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ process: name });
  processMetrics([registry]);
  return registry;
}

/** @param output where this process logs to */
export function logMetrics(registry: Registry, output: { readonly dropped: number }): void {
  new Counter({
    name: 'hm_log_lines_dropped_total',
    help: 'Log lines dropped because the disk was full or the reader of stdout took no more',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(output.dropped);
    },
  });
}

/** @param health its part `redis` is the connection */
export function redisMetrics(registry: Registry, health: Pick<Health, 'problems'>): void {
  new Gauge({
    name: 'hm_redis_connected',
    help: '1 while connected to Redis; in a cluster, to all masters',
    registers: [registry],
    collect() {
      this.set(health.problems().has('redis') ? 0 : 1);
    },
  });
}

/** Failed logins of an HTTP server. `wrong`: the login was wrong; `throttled`: refused unseen after too many of these. */
export function failedLogins(registry: Registry): Counter<'reason'> {
  const failed = new Counter({
    name: 'hm_http_failed_logins_total',
    help: 'Requests that were refused because their login was wrong, or unseen after too many of these',
    labelNames: ['reason'],
    registers: [registry],
  });
  for (const reason of ['wrong', 'throttled']) failed.inc({ reason }, 0);
  return failed;
}

const ROUND_TRIP_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];

/** The metrics that `self-metrics.ts` measures. */
export function selfMetrics(registry: Registry): { eventLoop: Histogram; redis: Histogram } {
  const registers = [registry];
  return {
    eventLoop: new Histogram({
      name: 'hm_event_loop_delay_seconds',
      help: 'How late a timer of this process was, measured twice a second',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    }),
    redis: new Histogram({
      name: 'hm_redis_round_trip_seconds',
      help: 'Round trip of a PING to Redis, every 5 s, behind the commands that this process had sent',
      buckets: ROUND_TRIP_BUCKETS,
      registers,
    }),
  };
}

/** The metrics of the NATS connections. */
export interface BusMetrics {
  connected: Gauge;
  losses: Counter;
  /** `kind`: slow_consumer, permission, authentication, other. */
  errors: Counter<'kind'>;
  handlerErrors: Counter<'subject'>;
  refusedSubscriptions: Gauge<'subject'>;
  roundTrip: Histogram;
}

/** Registers the metrics of the bus. All NATS connections of a process share them. */
export function busMetrics(registry: Registry): BusMetrics {
  const registers = [registry];
  const known = <M>(name: string, create: () => M): M =>
    (registry.getSingleMetric(name) as M | undefined) ?? create();
  return {
    connected: known('hm_nats_connected', () => {
      return new Gauge({
        name: 'hm_nats_connected',
        help: '1 while connected to NATS; ingest has a dedicated connection for heartbeats',
        labelNames: ['connection'],
        registers,
      });
    }),
    losses: known('hm_nats_losses_total', () => {
      return new Counter({ name: 'hm_nats_losses_total', help: 'NATS connections lost', registers });
    }),
    errors: known('hm_nats_errors_total', () => {
      const errors = new Counter({
        name: 'hm_nats_errors_total',
        help: 'Errors that NATS reported',
        labelNames: ['kind'],
        registers,
      });
      return beginAtZero(errors, [{ kind: 'slow_consumer' }, { kind: 'permission' }]);
    }),
    handlerErrors: known('hm_handler_errors_total', () => {
      return new Counter({
        name: 'hm_handler_errors_total',
        help: 'Messages whose handling failed',
        labelNames: ['subject'],
        registers,
      });
    }),
    refusedSubscriptions: known('hm_nats_subscriptions_refused', () => {
      return new Gauge({
        name: 'hm_nats_subscriptions_refused',
        help: 'Subscriptions that NATS refuses: nothing is received on that subject; subjects with an id are `other`',
        labelNames: ['subject'],
        registers,
      });
    }),
    roundTrip: known('hm_nats_round_trip_seconds', () => {
      return new Histogram({
        name: 'hm_nats_round_trip_seconds',
        help: 'Round trip of a PING to NATS, every 5 s, behind the messages that this process had sent',
        buckets: ROUND_TRIP_BUCKETS,
        registers,
      });
    }),
  };
}
