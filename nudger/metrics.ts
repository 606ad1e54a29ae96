import { Counter, Histogram, type Registry } from 'prom-client';

/** What the nudger counts. */
export interface NudgerMetrics {
  /**
   * `outcome`: sent; dry_run; unconfirmed (NATS was lost meanwhile: it may have arrived); dropped, and `why` it was no
   * longer right.
   */
  outcomes: Counter<'kind' | 'reason' | 'outcome' | 'why'>;
  rejectedJobs: Counter<'queue'>;
  waitSeconds: Histogram<'kind'>;
}

/** Registers the metrics of the nudger. */
export function nudgerMetrics(registry: Registry): NudgerMetrics {
  const registers = [registry];
  return {
    outcomes: new Counter({
      name: 'hm_decision_outcomes_total',
      help: 'What became of decided starts and stops: sent, dry_run, unconfirmed (NATS was lost while it was sent) or dropped, and why',
      labelNames: ['kind', 'reason', 'outcome', 'why'],
      registers,
    }),
    rejectedJobs: new Counter({
      name: 'hm_jobs_rejected_total',
      help: 'Jobs whose data nobody of ours wrote so',
      labelNames: ['queue'],
      registers,
    }),
    waitSeconds: new Histogram({
      name: 'hm_decision_wait_seconds',
      help: 'From the decision until it was sent',
      labelNames: ['kind'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2, 10, 60, 600],
      registers,
    }),
  };
}
