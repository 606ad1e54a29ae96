import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** The outcome of a query. `unknown`: none of its droplets is known; `failed`: see the log; `busy`: not tried. */
export type QueryOutcome = 'answered' | 'unknown' | 'rejected' | 'no_reply_subject' | 'busy' | 'failed';

export interface ReporterMetrics {
  queries: Counter<'subject' | 'outcome'>;
  replies: Counter<'subject'>;
  oversized: Counter<'subject'>;
  rejected: Counter<'subject' | 'reason'>;
  /** From the arrival of a query to its last reply. */
  seconds: Histogram<'subject'>;
  unreadable: Counter;
}

/** Registers the metrics of the queries. */
export function reporterMetrics(registry: Registry): ReporterMetrics {
  const registers = [registry];
  return {
    queries: new Counter({
      name: 'hm_queries_total',
      help: 'Queries over NATS by outcome',
      labelNames: ['subject', 'outcome'],
      registers,
    }),
    replies: new Counter({
      name: 'hm_query_replies_total',
      help: 'Reply messages to queries',
      labelNames: ['subject'],
      registers,
    }),
    oversized: new Counter({
      name: 'hm_query_replies_oversized_total',
      help: 'Reply messages that were left out because they exceed max_payload of NATS',
      labelNames: ['subject'],
      registers,
    }),
    rejected: new Counter({
      name: 'hm_messages_rejected_total',
      help: 'Queries and entries of queries that are not valid',
      labelNames: ['subject', 'reason'],
      registers,
    }),
    seconds: new Histogram({
      name: 'hm_query_seconds',
      help: 'Time from a query to its last reply',
      labelNames: ['subject'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    }),
    unreadable: new Counter({
      name: 'hm_records_unreadable_total',
      help: 'Droplet records that could not be read',
      registers,
    }),
  };
}

/** Registers the count of what operators did over HTTP. */
export function actMetrics(registry: Registry): Counter<'act' | 'outcome'> {
  return new Counter({
    name: 'hm_operator_acts_total',
    help: 'Acts of operators over HTTP by outcome: done, refused (login), failed',
    labelNames: ['act', 'outcome'],
    registers: [registry],
  });
}

/** Registers the number of open dashboards. */
export function viewerMetrics(registry: Registry, viewers: { size: number }): void {
  new Gauge({
    name: 'hm_dashboard_viewers',
    help: 'Browsers that have the dashboard open',
    registers: [registry],
    collect() {
      this.set(viewers.size);
    },
  });
}
