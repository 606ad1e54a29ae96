import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { ENTRY_REJECTIONS } from '../../common/messages/bulk.ts';
import { repairsCounter } from '../../common/redis/records/repairs.ts';
import { beginAtZero } from '../../common/runtime/metrics.ts';
import { BULK_API_FAILURES } from './errors.ts';

/** The metrics of the sync process. */
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
  repairs: Counter<'what'>;
}

/** Registers the metrics of the sync process. */
export function syncMetrics(registry: Registry): SyncMetrics {
  const registers = [registry];
  return {
    duration: new Histogram({
      name: 'hm_sync_pass_seconds',
      help: 'Duration of complete passes of the bulk sync',
      buckets: [0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120],
      registers,
    }),
    passes: beginAtZero(
      new Counter({
        name: 'hm_sync_passes_total',
        help: 'Passes of the bulk sync, by outcome: complete, failed, aborted or superseded',
        labelNames: ['outcome'],
        registers,
      }),
      ['complete', 'failed', 'aborted', 'superseded'].map((outcome) => ({ outcome })),
    ),
    pages: new Counter({
      name: 'hm_sync_pages_total',
      help: 'Bulk pages read, by kind: equal to the stored page, or changed',
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
      help: 'Droplets marked as gone because a complete pass did not list them',
      registers,
    }),
    listed: new Gauge({
      name: 'hm_sync_droplets_listed',
      help: 'Droplets listed by the latest complete pass of this process',
      registers,
    }),
    rejected: beginAtZero(
      new Counter({
        name: 'hm_sync_entries_rejected_total',
        help: 'Invalid entries of changed bulk pages',
        labelNames: ['reason'],
        registers,
      }),
      ENTRY_REJECTIONS.map((reason) => ({ reason })),
    ),
    failures: beginAtZero(
      new Counter({
        name: 'hm_sync_request_failures_total',
        help: 'Failed requests to the bulk API',
        labelNames: ['reason'],
        registers,
      }),
      [...BULK_API_FAILURES, 'users'].map((reason) => ({ reason })),
    ),
    holdUnreadable: new Counter({
      name: 'hm_mass_delete_unreadable_total',
      help: 'Passes that found the hold mass_delete unreadable in Redis',
      registers,
    }),
    repairs: repairsCounter(registry),
  };
}
