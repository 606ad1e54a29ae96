import { Counter, Histogram, type Registry } from 'prom-client';
import { repairsCounter } from '../common/redis/records/repairs.ts';

/** The metrics of the analyzer. */
export interface AnalyzerMetrics {
  events: Counter<'kind'>;
  eventsRejected: Counter;
  reconciles: Counter;
  conflicts: Counter;
  decisions: Counter<'kind' | 'reason'>;
  /** `reason` is that of the start. */
  detection: Histogram<'reason'>;
  healing: Histogram<'reason'>;
  auditReconciles: Counter;
  auditMisses: Counter;
  unreadable: Counter;
  notStored: Counter;
  holdUnreadable: Counter;
  ticks: Counter;
  tickSeconds: Histogram;
  slicesSeconds: Histogram;
  repairs: Counter<'what'>;
}

/** Registers the metrics of the analyzer. */
export function analyzerMetrics(registry: Registry): AnalyzerMetrics {
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  return {
    events: new Counter({
      name: 'hm_events_total',
      help: 'Exits read from the event streams (and updates, of ingestors of a former version)',
      labelNames: ['kind'],
      registers: [registry],
    }),
    eventsRejected: counter(
      'hm_events_rejected_total',
      'Stream entries rejected because they are not in the format that ingest writes',
    ),
    reconciles: counter('hm_reconciles_total', 'Droplets reconciled because they were due or had an event'),
    conflicts: counter(
      'hm_reconcile_conflicts_total',
      'Reconciles repeated because the record changed between reading and storing',
    ),
    decisions: new Counter({
      name: 'hm_decisions_total',
      help: 'Decisions made',
      labelNames: ['kind', 'reason'],
      registers: [registry],
    }),
    // Finest around droplet_lost, after which a silent instance counts as lost (default 30 s).
    detection: new Histogram({
      name: 'hm_detection_seconds',
      help: 'From the exit of an instance, or from the last heartbeat of a lost one, to the decision to start its slot',
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
    auditReconciles: counter('hm_audit_reconciles_total', 'Droplets evaluated by the audit'),
    auditMisses: counter(
      'hm_audit_misses_total',
      'Droplets that needed a reconcile and were not due, found by the audit: should stay 0',
    ),
    unreadable: counter(
      'hm_records_unreadable_total',
      'Reconciles and audits of droplets whose record could not be read',
    ),
    notStored: counter(
      'hm_reconciles_not_stored_total',
      'Reconciles whose decision was not stored because a Redis key has the wrong type',
    ),
    holdUnreadable: counter(
      'hm_mass_loss_unreadable_total',
      'Ticks that could not read the state of the hold mass_loss',
    ),
    ticks: counter('hm_ticks_total', 'Ticks'),
    tickSeconds: new Histogram({
      name: 'hm_tick_seconds',
      help: 'Duration of a tick: it counts the due droplets of all slices and dispatches jobs; without the jobs',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2],
      registers: [registry],
    }),
    slicesSeconds: new Histogram({
      name: 'hm_slices_seconds',
      help: 'Duration of a job that reconciles or audits some slices',
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      registers: [registry],
    }),
    repairs: repairsCounter(registry),
  };
}
