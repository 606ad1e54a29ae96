import { Counter, type Registry } from 'prom-client';

/** What the ingest process counts. */
export interface IngestMetrics {
  heartbeatsReceived: Counter;
  heartbeatsEqual: Counter;
  heartbeatsChanged: Counter;
  heartbeatsCoalesced: Counter;
  heartbeatsStale: Counter;
  dropletsChanged: Counter;
  exits: Counter<'reason'>;
  updates: Counter;
  shutdowns: Counter;
  rejected: Counter<'subject' | 'reason'>;
}

/** Registers the metrics of the ingest process. */
export function ingestMetrics(registry: Registry): IngestMetrics {
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  return {
    heartbeatsReceived: counter('hm_heartbeats_received_total', 'Heartbeats received'),
    heartbeatsEqual: counter('hm_heartbeats_equal_total', 'Heartbeats equal to the last one of their DEA'),
    heartbeatsChanged: counter('hm_heartbeats_changed_total', 'Heartbeats stored by their difference'),
    heartbeatsCoalesced: counter(
      'hm_heartbeats_coalesced_total',
      'Heartbeats dropped because a newer one of the same DEA was there before they were stored',
    ),
    heartbeatsStale: counter(
      'hm_heartbeats_stale_total',
      'Heartbeats dropped because they had waited while this process was stopped',
    ),
    dropletsChanged: counter('hm_droplets_changed_total', 'Droplet records changed by heartbeats'),
    exits: new Counter({
      name: 'hm_exits_received_total',
      help: 'droplet.exited messages received',
      labelNames: ['reason'],
      registers: [registry],
    }),
    updates: counter('hm_updates_received_total', 'droplet.updated messages received'),
    shutdowns: counter('hm_dea_shutdowns_received_total', 'dea.shutdown messages received'),
    rejected: new Counter({
      name: 'hm_messages_rejected_total',
      help: 'Messages and heartbeat entries that did not fit',
      labelNames: ['subject', 'reason'],
      registers: [registry],
    }),
  };
}
