import { Counter, Histogram, type Registry } from 'prom-client';

/** What the analyzer counts. */
export interface AnalyzerMetrics {
  events: Counter<'kind'>;
  eventsRejected: Counter;
  reconciles: Counter;
  conflicts: Counter;
  decisions: Counter<'kind' | 'reason'>;
  /** `reason`: of the start. */
  detection: Histogram<'reason'>;
  healing: Histogram<'reason'>;
  auditReconciles: Counter;
  auditMisses: Counter;
  unreadable: Counter;
  notStored: Counter;
  holdUnreadable: Counter;
  ticks: Counter;
  tickSeconds: Histogram;
  scanSeconds: Histogram;
}

/** Registers the metrics of the analyzer. */
export function analyzerMetrics(registry: Registry): AnalyzerMetrics {
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  return {
    events: new Counter({
      name: 'hm_events_total',
      help: 'Exits and updates read from the streams',
      labelNames: ['kind'],
      registers: [registry],
    }),
    eventsRejected: counter('hm_events_rejected_total', 'Stream entries that nobody of ours wrote so'),
    reconciles: counter('hm_reconciles_total', 'Droplets looked at because they were due or had an event'),
    conflicts: counter('hm_reconcile_conflicts_total', 'Looks repeated because the record changed meanwhile'),
    decisions: new Counter({
      name: 'hm_decisions_total',
      help: 'Decisions',
      labelNames: ['kind', 'reason'],
      registers: [registry],
    }),
    // Around the time after which a silent instance counts as lost: 30 s, where nobody says otherwise.
    detection: new Histogram({
      name: 'hm_detection_seconds',
      help: 'From the exit of an instance, or from when a lost one was last heard, to the decision to start its slot',
      labelNames: ['reason'],
      buckets: [0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2, 10, 20, 30, 32, 35, 45, 60, 120, 600],
      registers: [registry],
    }),
    healing: new Histogram({
      name: 'hm_healing_seconds',
      help: 'From the decision to start a slot (a flapping restart: from when it was due) to the first heartbeat of its new instance',
      labelNames: ['reason'],
      buckets: [0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 900],
      registers: [registry],
    }),
    auditReconciles: counter('hm_audit_reconciles_total', 'Droplets looked at by the slow audit'),
    auditMisses: counter(
      'hm_audit_misses_total',
      'Droplets of which the audit found that something was to be done and that were not due: should stay 0',
    ),
    unreadable: counter('hm_records_unreadable_total', 'Looks at droplet records that could not be read'),
    notStored: counter(
      'hm_reconciles_not_stored_total',
      'Looks whose decision could not be stored, as somebody made something else of a key',
    ),
    holdUnreadable: counter(
      'hm_mass_loss_unreadable_total',
      'Ticks that found the state of the hold mass_loss unreadable',
    ),
    ticks: counter('hm_ticks_total', 'Ticks of the cron'),
    tickSeconds: new Histogram({
      name: 'hm_tick_seconds',
      help: 'Time that a tick took: all slices asked what is due, and handed out; not the looking',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2],
      registers: [registry],
    }),
    scanSeconds: new Histogram({
      name: 'hm_slices_seconds',
      help: 'Time that a job of some slices took',
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      registers: [registry],
    }),
  };
}
