import type { MetricObject, Registry } from 'prom-client';
import { analyzerMetrics } from '../../analyzer/metrics.ts';
import {
  busMetrics,
  createRegistry,
  failedLogins,
  logMetrics,
  redisMetrics,
  selfMetrics,
} from '../../common/runtime/metrics.ts';
import { ingestMetrics } from '../../ingest/metrics.ts';
import { syncMetrics } from '../../ingest/sync/metrics.ts';
import { nudgerMetrics } from '../../nudger/metrics.ts';
import { fleetMetrics } from '../../reporter/figures/fleet-metrics.ts';
import { actMetrics, reporterMetrics, viewerMetrics } from '../../reporter/figures/metrics.ts';
import { queueMetrics } from '../../reporter/figures/queue-metrics.ts';
import { webhookMetrics } from '../../reporter/webhooks/metrics.ts';
import { code, GENERATED, plain, table } from './markdown.ts';

type Register = (registry: Registry) => unknown;

const fleet: Register = (registry) => fleetMetrics(registry, async () => undefined);
const queues: Register = (registry) => queueMetrics(registry, {} as never, async () => undefined);
const log: Register = (registry) => logMetrics(registry, { dropped: 0 });
const redis: Register = (registry) => redisMetrics(registry, { problems: () => new Map() });
const watchers: Register = (registry) => viewerMetrics(registry, { size: 0 });

/** What each process registers, beside what all of them have. */
const OF_PROCESSES: Readonly<Record<string, readonly Register[]>> = {
  ingest: [busMetrics, ingestMetrics],
  sync: [busMetrics, syncMetrics],
  analyzer: [analyzerMetrics],
  nudger: [busMetrics, nudgerMetrics],
  reporter: [busMetrics, failedLogins, reporterMetrics, actMetrics, webhookMetrics, fleet, queues, watchers],
};

/** The registry of each process, without the values that need Redis. */
export function registries(): Map<string, Registry> {
  const registryOf = ([name, registers]: [string, readonly Register[]]): [string, Registry] => {
    const registry = createRegistry(name);
    for (const register of [selfMetrics, redis, log, ...registers]) register(registry);
    return [name, registry];
  };
  return new Map(Object.entries(OF_PROCESSES).map(registryOf));
}

/** The metrics of all processes as they are registered, each with the processes that have it. */
export function metricsOfAll(): (MetricObject & { processes: string[] })[] {
  const names = Object.keys(OF_PROCESSES);
  const all = new Map<string, MetricObject & { processes: string[] }>();
  for (const [name, registry] of registries()) {
    for (const metric of registry.getMetricsAsArray()) {
      const known = all.get(metric.name);
      if (known === undefined) all.set(metric.name, { ...metric, processes: [name] });
      else known.processes.push(name);
    }
  }
  return [...all.values()].map((metric) => ({
    ...metric,
    processes: metric.processes.length === names.length ? ['all'] : metric.processes,
  }));
}

/** `metrics.md`: every metric. */
export function metricsPage(): string {
  return [
    GENERATED('the registries of the processes'),
    '# Metrics',
    '',
    'Every process shows its metrics at `/metrics`, for Prometheus: the reporter on `status.port` (with its login), the',
    'others where they are given `--http-port`. All have the label `process`. Of a histogram there are `_bucket`, `_sum`',
    'and `_count`. What the reporter tells of the fleet is the same at every reporter: take the maximum, not the sum.',
    '',
    table(
      ['metric', 'type', 'labels', 'what', 'process'],
      metricsOfAll().map((metric) => [
        code(metric.name),
        String(metric.type),
        labelsOf(metric).map(code).join(', '),
        plain(metric.help),
        metric.processes.join(', '),
      ]),
    ),
  ].join('\n');
}

/** prom-client keeps them, but does not say so in its types. */
export function labelsOf(metric: MetricObject): string[] {
  const { labelNames } = metric as { labelNames?: readonly string[] };
  return (labelNames ?? []).filter((name) => name !== 'le');
}
