import { Counter, Gauge, type Registry } from 'prom-client';
import { repairsCounter } from '../common/redis/records/repairs.ts';

/** The metrics of the ingest process. */
export interface IngestMetrics {
  heartbeatsReceived: Counter;
  heartbeatsEqual: Counter;
  heartbeatsChanged: Counter;
  heartbeatsVerified: Counter;
  heartbeatsCoalesced: Counter;
  heartbeatsStale: Counter;
  dropletsChanged: Counter;
  exits: Counter<'reason'>;
  updates: Counter;
  shutdowns: Counter;
  rejected: Counter<'subject' | 'reason'>;
  repairs: Counter<'what'>;
  claimsRejected: Counter<'reason'>;
  heartbeatRequests: Counter<'status'>;
  messagesWaiting: Gauge;
  messagesDropped: Counter<'subject'>;
}

/** Registers the metrics of the ingest process. */
export function ingestMetrics(registry: Registry): IngestMetrics {
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  return {
    heartbeatsReceived: counter('hm_heartbeats_received_total', 'Heartbeats received'),
    heartbeatsEqual: counter(
      'hm_heartbeats_equal_total',
      'Heartbeats equal to the previous one of their DEA',
    ),
    heartbeatsChanged: counter(
      'hm_heartbeats_changed_total',
      'Heartbeats that differed from the previous one of their DEA and were stored',
    ),
    heartbeatsVerified: counter(
      'hm_heartbeats_verified_total',
      'Heartbeats equal to the previous one of their DEA that were stored whole, to find what Redis has lost',
    ),
    heartbeatsCoalesced: counter(
      'hm_heartbeats_coalesced_total',
      'Heartbeats dropped because a newer one of the same DEA arrived before they were stored',
    ),
    heartbeatsStale: counter(
      'hm_heartbeats_stale_total',
      'Heartbeats dropped because this process was stopped while they waited',
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
    claimsRejected: new Counter({
      name: 'hm_claims_rejected_total',
      help: 'Instances (with too_many_deas: heartbeats) that DEAs listed and that were not stored: those of another DEA, with another index or version than before, or too many',
      labelNames: ['reason'],
      registers: [registry],
    }),
    rejected: new Counter({
      name: 'hm_messages_rejected_total',
      help: 'Messages rejected, and heartbeats with rejected entries',
      labelNames: ['subject', 'reason'],
      registers: [registry],
    }),
    heartbeatRequests: new Counter({
      name: 'hm_heartbeat_requests_total',
      help: 'Heartbeats over HTTPS, by the status of the answer: 202 is stored',
      labelNames: ['status'],
      registers: [registry],
    }),
    messagesWaiting: new Gauge({
      name: 'hm_messages_waiting',
      help: 'Exits, updates and shutdowns that wait because Redis takes no writes',
      registers: [registry],
    }),
    messagesDropped: new Counter({
      name: 'hm_messages_dropped_total',
      help: 'Exits, updates and shutdowns dropped because too many waited for Redis',
      labelNames: ['subject'],
      registers: [registry],
    }),
    repairs: repairsCounter(registry),
  };
}
