import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What the sync process counts. */
export interface SyncMetrics {
  duration: Histogram;
  passes: Counter<'outcome'>;
  pages: Counter<'kind'>;
  changed: Counter;
  gone: Counter;
  listed: Gauge;
  rejected: Counter<'reason'>;
  failures: Counter<'reason'>;
  holdUnreadable: Counter;
}

/** Registers the metrics of the sync process. */
export function syncMetrics(registry: Registry): SyncMetrics {
  const registers = [registry];
  return {
    duration: new Histogram({
      name: 'hm_sync_pass_seconds',
      help: 'How long complete passes of the bulk sync took',
      buckets: [0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120],
      registers,
    }),
    passes: new Counter({
      name: 'hm_sync_passes_total',
      help: 'Passes of the bulk sync: complete, failed, aborted, superseded',
      labelNames: ['outcome'],
      registers,
    }),
    pages: new Counter({
      name: 'hm_sync_pages_total',
      help: 'Bulk pages read: equal to the last ones or changed',
      labelNames: ['kind'],
      registers,
    }),
    changed: new Counter({
      name: 'hm_sync_droplets_changed_total',
      help: 'Droplet records changed by the bulk sync',
      registers,
    }),
    gone: new Counter({
      name: 'hm_sync_droplets_gone_total',
      help: 'Droplets that a complete pass no longer listed',
      registers,
    }),
    listed: new Gauge({
      name: 'hm_sync_droplets_listed',
      help: 'Droplets that the latest complete pass of this process listed',
      registers,
    }),
    rejected: new Counter({
      name: 'hm_sync_entries_rejected_total',
      help: 'Entries of changed bulk pages that did not fit',
      labelNames: ['reason'],
      registers,
    }),
    failures: new Counter({
      name: 'hm_sync_request_failures_total',
      help: 'Requests to the bulk API that failed',
      labelNames: ['reason'],
      registers,
    }),
    holdUnreadable: new Counter({
      name: 'hm_mass_delete_unreadable_total',
      help: 'Passes that found the state of the hold mass_delete unreadable',
      registers,
    }),
  };
}
