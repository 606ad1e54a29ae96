import { Counter, Histogram, type Registry } from 'prom-client';
import { START_REASONS, STOP_REASONS } from '../common/model/reasons.ts';
import { beginAtZero } from '../common/runtime/metrics.ts';

export interface NudgerMetrics {
  /**
   * `outcome`: sent, dry_run, unconfirmed (NATS disconnected during the send: the message may have arrived) or
   * dropped; `why`: the reason of a drop.
   */
  outcomes: Counter<'kind' | 'reason' | 'outcome' | 'why'>;
  rejectedJobs: Counter<'queue'>;
  waitSeconds: Histogram<'kind'>;
}

/** Registers the metrics of the nudger. */
export function nudgerMetrics(registry: Registry): NudgerMetrics {
  const registers = [registry];
  return {
    outcomes: beginAtZero(
      new Counter({
        name: 'hm_decision_outcomes_total',
        help: 'Outcomes of decided starts and stops: sent, refused (by the controller, over HTTP), dry_run, unconfirmed (the connection was lost during the send) or dropped, with the reason',
        labelNames: ['kind', 'reason', 'outcome', 'why'],
        registers,
      }),
      [
        ...START_REASONS.map((reason) => ({ kind: 'start', reason, outcome: 'sent', why: '' })),
        ...STOP_REASONS.map((reason) => ({ kind: 'stop', reason, outcome: 'sent', why: '' })),
      ],
    ),
    rejectedJobs: beginAtZero(
      new Counter({
        name: 'hm_jobs_rejected_total',
        help: 'Jobs whose data is not in the format this program writes',
        labelNames: ['queue'],
        registers,
      }),
      ['starts', 'restarts', 'stops'].map((queue) => ({ queue })),
    ),
    waitSeconds: new Histogram({
      name: 'hm_decision_wait_seconds',
      help: 'Time from a decision until it was sent',
      labelNames: ['kind'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2, 10, 60, 600],
      registers,
    }),
  };
}
