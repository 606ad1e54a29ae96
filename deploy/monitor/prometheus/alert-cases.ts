/** For the tests of the alert rules: when each alert fires, and a similar case in which it does not. */

export interface AlertCase {
  /** Series in promtool's notation, one value every 15 s: `1x4` is 1 five times, `0+2x4` is 0, 2, 4, 6, 8. */
  series: Record<string, string>;
  /** When the rule is checked, from the begin of the series. */
  at: string;
}

interface AlertCases {
  fires: AlertCase;
  quiet: AlertCase;
}

const ALL = ['ingest', 'sync', 'analyzer', 'nudger', 'reporter'];
const started = (names: string[]) =>
  Object.fromEntries(names.map((name) => [`process_start_time_seconds{process="${name}"}`, '1x40']));

/** An alert on a gauge: the value at which it fires, one at which it does not, and when it is checked. */
const gauge = (series: string, firing: string, quiet: string, at: string): AlertCases => ({
  fires: { series: { [series]: firing }, at },
  quiet: { series: { [series]: quiet }, at },
});
const hold = (name: string, at: string) => gauge(`hm_hold_on{hold="${name}"}`, '1x60', '0x60', at);

/** A counter that begins at 0 counts its first event; `after` it stays. */
const firstEvent = (series: string) => gauge(series, '0x10 1x10', '3x20', '3m');

/** Values of a histogram: `fast` and `slow` are the growth of the buckets `le` and `+Inf` every 15 s. */
function histogram(name: string, labels: string, at: string, le: string): AlertCases {
  const grown = (fast: number) => ({
    [`${name}_bucket{${labels}le="${le}"}`]: `0+${fast}x80`,
    [`${name}_bucket{${labels}le="600"}`]: '0+10x80',
    [`${name}_bucket{${labels}le="+Inf"}`]: '0+10x80',
  });
  return { fires: { series: grown(5), at }, quiet: { series: grown(10), at } };
}

export const ALERT_CASES: Readonly<Record<string, AlertCases>> = {
  ProcessMissing: {
    fires: { series: started(ALL.slice(1)), at: '2m30s' },
    quiet: { series: started(ALL), at: '2m30s' },
  },
  NoNudger: gauge('hm_processes{kind="nudger"}', '1x4 0x20', '1x4 0x2 1x20', '3m'),
  NoWorkingCopy: gauge('hm_processes{kind="sync"}', '1x4 0x20', '1x4 0x2 1x20', '3m'),
  ProcessDown: gauge('up{job="health-manager",instance="a:8080"}', '1 0x20', '1x4 0x4 1x20', '4m'),
  ProcessRestarts: gauge(
    'process_start_time_seconds{process="sync"}',
    '1x4 2x4 3x4 4x4 5x4',
    '1x8 2x8 3x8',
    '6m',
  ),
  EventLoopSlow: histogram('hm_event_loop_delay_seconds', 'process="ingest",instance="a",', '11m', '0.25'),
  MemoryHigh: gauge('process_resident_memory_bytes{process="ingest"}', '440000000x60', '340000000x60', '11m'),
  // Redis is lost between two scrapes. The alert fires within a minute.
  RedisAway: gauge('hm_redis_connected{process="nudger",instance="a"}', '1x3 0x20', '1x3 0 1x20', '1m45s'),
  RedisSlow: histogram('hm_redis_round_trip_seconds', 'process="ingest",instance="a",', '11m', '0.1'),
  NatsAway: gauge('hm_nats_connected{process="ingest",connection="main"}', '0x20', '0 0 1x20', '2m'),
  NatsSlow: histogram('hm_nats_round_trip_seconds', 'process="ingest",instance="a",', '11m', '0.1'),
  NatsSlowConsumer: firstEvent('hm_nats_errors_total{kind="slow_consumer",process="ingest"}'),
  DesiredStateUnavailable: hold('desired_unavailable', '3m'),
  SyncFails: gauge('hm_sync_request_failures_total{reason="status"}', '0x4 5x20', '0x4 1x20', '3m'),
  ActualStateNotFresh: hold('actual_not_fresh', '3m'),
  NoHeartbeats: {
    fires: {
      series: { 'hm_deas{state="alive"}': '0x20', 'hm_fleet{what="started_instances"}': '5x20' },
      at: '2m',
    },
    quiet: {
      series: { 'hm_deas{state="alive"}': '0x20', 'hm_fleet{what="started_instances"}': '0x20' },
      at: '2m',
    },
  },
  MassLoss: hold('mass_loss', '1m'),
  MassDelete: hold('mass_delete', '1m'),
  UpdatesUnread: gauge('hm_hold_droplets{hold="update_required"}', '2x40', '2x10 0x30', '6m'),
  DeaLost: gauge('hm_deas{state="lost"}', '1x4', '0x4', '1m'),
  MessagesRejected: gauge(
    'hm_messages_rejected_total{process="ingest",subject="dea.heartbeat",reason="dea"}',
    '0+15x80',
    '0x40 100x40',
    '16m',
  ),
  EntriesRejected: firstEvent('hm_sync_entries_rejected_total{reason="state"}'),
  DataUnreadable: firstEvent('hm_jobs_rejected_total{process="nudger",queue="starts"}'),
  InstancesMissing: {
    fires: {
      series: { 'hm_fleet{what="missing"}': '2x60', 'hm_fleet{what="started_instances"}': '100x60' },
      at: '11m',
    },
    quiet: {
      series: { 'hm_fleet{what="missing"}': '2x60', 'hm_fleet{what="started_instances"}': '1000x60' },
      at: '11m',
    },
  },
  InstancesUnplaced: gauge('hm_fleet{what="unplaced"}', '1x60', '1x20 0x40', '11m'),
  StartsWithoutEffect: {
    // No start has healed since the analyzer began: the histogram has no series yet.
    fires: {
      series: { 'hm_decision_outcomes_total{kind="start",outcome="sent",reason="missing"}': '0x4 0+10x40' },
      at: '10m',
    },
    quiet: {
      series: {
        'hm_decision_outcomes_total{kind="start",outcome="sent",reason="missing"}': '0x4 0+10x40',
        'hm_healing_seconds_count{reason="missing"}': '0x4 0+9x40',
      },
      at: '10m',
    },
  },
  DetectionSlow: histogram('hm_detection_seconds', 'reason="crashed",', '11m', '0.5'),
  HealingSlow: histogram('hm_healing_seconds', 'reason="crashed",', '16m', '60'),
  StartsWait: gauge('hm_queue_oldest_seconds{queue="starts"}', '130x20', '110x20', '3m'),
  QueueStuck: gauge('hm_queue_oldest_seconds{queue="stops"}', '40x20', '20x20', '3m'),
  AnalyzerBehind: gauge('hm_queue_length{queue="slices",state="waiting"}', '9x40', '8x40', '6m'),
  TicksStopped: gauge('hm_ticks_total{process="analyzer"}', '5x20', '0+15x20', '4m'),
  AuditMisses: firstEvent('hm_audit_misses_total{process="analyzer"}'),
  HandlersFail: firstEvent('hm_handler_errors_total{process="ingest",subject="droplet.exited"}'),
};
