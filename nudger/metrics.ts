import { Counter, Histogram, type Registry } from 'prom-client';

/** What the nudger counts. */
export interface NudgerMetrics {
  sent: Counter<'kind' | 'reason'>;
  dropped: Counter<'kind' | 'why'>;
  unconfirmed: Counter<'kind'>;
  badJobs: Counter<'queue'>;
  waitedSeconds: Histogram<'kind'>;
}

/** Registers the metrics of the nudger. */
export function nudgerMetrics(registry: Registry): NudgerMetrics {
  const registers = [registry];
  return {
    sent: new Counter({
      name: 'hm_messages_sent_total',
      help: 'health.start and health.stop messages published',
      labelNames: ['kind', 'reason'],
      registers,
    }),
    dropped: new Counter({
      name: 'hm_decisions_dropped_total',
      help: 'Starts and stops that were no longer right when they were to leave',
      labelNames: ['kind', 'why'],
      registers,
    }),
    unconfirmed: new Counter({
      name: 'hm_messages_unconfirmed_total',
      help: 'Messages of which the lost connection to NATS does not tell whether they arrived',
      labelNames: ['kind'],
      registers,
    }),
    badJobs: new Counter({
      name: 'hm_jobs_rejected_total',
      help: 'Jobs whose data nobody of ours wrote so',
      labelNames: ['queue'],
      registers,
    }),
    waitedSeconds: new Histogram({
      name: 'hm_decision_waited_seconds',
      help: 'From the decision until it was sent',
      labelNames: ['kind'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2, 10, 60, 600],
      registers,
    }),
  };
}
