/**
 * Every value of the log field `event`: what it means, and what to do if anything.
 *
 * The names are part of the program's interface: alerts and scripts search for them.
 */
export const LOG_EVENTS = {
  // Every process
  ready: 'The process serves; from `hm start`: all processes serve.',
  config_warning: 'A setting is unknown, deprecated or doubtful: correct the configuration file.',
  start_failed: 'The process ends: the message names the cause.',
  stopping: 'The process stops: by a signal, or because its parent has exited.',
  stopped: 'The process has stopped.',
  stop_failed: 'Something did not stop cleanly; the process ends all the same. Report it if it repeats.',
  stop_timed_out:
    'The stop took too long; the process ends. Unfinished work is in Redis, and others take it over.',
  stop_forced: 'A second signal ended the stop at once.',
  uncaught_error: 'A bug: the process ends and must be restarted. Report it with its stack.',
  log_lines_dropped: 'Log lines were dropped: the disk was full, or the reader of stdout took no more.',
  log_reopened: 'SIGHUP: the log file is opened anew.',
  log_not_reopened: 'The log file could not be opened anew; lines still go to the old one. See the error.',
  systemd_not_notified:
    'systemd-notify failed or is missing: systemd restarts the process after WatchdogSec. See the error.',
  login_failed:
    'A wrong login at the HTTP server; at most one line a second, `suppressed` has the number of the others. Find out who uses that address if it repeats.',
  http_request_failed: 'A bug in an HTTP route: the client got status 500. Report it with its stack.',
  secret_not_readable:
    'A certificate or credentials file cannot be used at a connect; the one before is used. Repair the file.',

  // NATS
  nats_connected: 'The first connection to NATS is up.',
  nats_disconnected: 'NATS is not reachable; retrying. Check NATS, `mbus` and the network if it lasts.',
  nats_reconnected: 'NATS is reachable again.',
  nats_error: 'NATS reported an error, e.g. a permission or a slow consumer: see `problem`.',
  subscription_refused: 'NATS refuses a subscription; retrying. Give the account of `mbus` the permission.',
  subscription_accepted: 'NATS accepts a subscription that it refused before.',
  nats_listener_failed: 'A bug in a reaction to a lost or restored connection. Report it with its stack.',
  message_handler_failed:
    'A bug in the handler of a message: the message has no effect. Report it with its stack.',

  // Redis and its queues
  redis_disconnected: 'Redis is not reachable; retrying. Check Redis, its URL and the network if it lasts.',
  redis_reconnected: 'Redis is reachable again.',
  redis_refuses_writes:
    'Redis is full, cannot save, or is a replica: nothing is decided or stored. Repair Redis; nothing else is needed.',
  redis_accepts_writes: 'Redis takes writes again.',
  redis_may_evict:
    'A Redis may remove keys when its memory is full: set `maxmemory-policy noeviction`. What is removed is built again, but late.',
  redis_failover: 'A Redis node was replaced and may have lost writes: everything is read and stored again.',
  process_not_registered:
    'The entry of this process in Redis was not written; it is tried again, and without it others show the process as gone.',
  queue_error:
    'A queue could not use Redis for another reason than a lost connection, e.g. NOPERM or WRONGTYPE.',
  job_failed: 'A job failed; the next reconcile enqueues it again. Read its error if it repeats.',
  counters_not_stored: 'Counters wait in memory and are stored later, e.g. because a key has the wrong type.',
  unreadable_record: 'A record in Redis was edited or damaged; it is rebuilt from heartbeats and bulk syncs.',
  unreadable_hold: 'A hold in Redis was edited or damaged; it is evaluated anew.',

  state_repaired:
    'Something was missing or damaged in Redis and is built again: see `what`. Find its cause if it repeats.',

  // Tracing
  tracing_not_started: 'Tracing could not start; the process runs without it.',
  tracing_setting_rejected: 'OpenTelemetry rejected an environment variable: correct it.',
  tracing_error: 'A message of the OpenTelemetry library.',
  traces_not_exported: 'The collector does not accept spans; they are dropped. Check the collector.',
  traces_exported_again: 'The collector accepts spans again.',

  // ingest
  message_rejected: 'A message is not in the expected format and is ignored: find its sender by the fields.',
  claim_rejected:
    'A DEA lists instances of another DEA, changes what never changes, or lists too many: see `dea` and `owner`. Usual for seconds after a DEA restarts under a new guid.',
  message_not_stored: 'A message had no effect because Redis refused a write: see its error.',
  messages_waiting: 'Redis is away or refuses writes: exits, updates and shutdowns wait in memory.',
  messages_stored: 'Redis takes writes again: the waiting messages are stored.',
  messages_dropped: 'Too many messages waited for Redis: the oldest were dropped. Repair Redis.',
  heartbeats_not_stored: 'Heartbeats were not stored; they wait, and newer ones replace them. See the error.',
  heartbeat_api_listening: 'Heartbeats over HTTPS are received on `port`.',
  heartbeat_request_refused:
    'A heartbeat over HTTPS was refused: with 401 or 403 the DEA needs a valid certificate of heartbeat_api.ca_file, with 503 more ingestors are needed.',
  heartbeat_backlog:
    'Heartbeats wait too long: silence does not count as loss. Start more ingestors if it lasts.',
  heartbeats_requested: 'Heartbeats may have been lost, so every DEA was asked for one.',
  heartbeats_not_verified:
    'Could not find out whether Redis still has all that equal heartbeats list; the next turn of the DEA does.',
  ingestor_stalled: 'This process was suspended; heartbeats that waited meanwhile are dropped.',
  ingestor_removed: 'Another ingestor has ended and no longer counts.',
  ingestor_taken_over:
    'An ingestor stands still, e.g. suspended or without Redis; the others receive its share of the messages. See `host` and `ingestorPid`.',
  generation_joined: 'The ingestors have formed a new queue group, because one of them stood still.',
  queue_group_left: 'This process cannot use Redis, so that others receive the messages until it can.',
  queue_group_joined: 'This process receives messages again.',
  watermark_not_written:
    'This ingestor could not publish its watermark; no DEA counts as lost until one does.',

  // sync
  sync_completed: 'A bulk sync read every page.',
  sync_failed: 'A bulk sync failed; it is tried again. Check the controller and its bulk API if it repeats.',
  sync_superseded: 'Another bulk sync began, so this one ended.',
  sync_check_failed: 'Could not find out whether a bulk sync is due; tried again.',
  bulk_api_failed: 'A request to the bulk API failed and is repeated: see `problem`.',
  bulk_entry_rejected: 'The bulk API listed an invalid entry; the last valid record of that droplet stays.',

  // analyzer
  dea_left: 'A DEA sent no heartbeat for `droplet_lost` after its `dea.shutdown`: it is gone as announced.',
  dea_lost: 'A DEA sent no heartbeat for `droplet_lost`: its instances are lost.',
  dea_expired: 'A DEA was silent for very long and was removed.',
  deas_expired: 'More DEAs expired at once than are logged one by one: `deas` is their number.',
  hold_on: 'A hold keeps decisions back: see `hold`, and operate.md for what to do.',
  hold_off: 'A hold has ended.',
  decision_not_stored:
    'Redis refused a decision: somebody gave the key that `problem` names another type. It is removed within a minute and built again.',
  audit_miss:
    'The audit found droplets that no due list named; they are reconciled now. Report it if it repeats.',
  cron_stuck: 'No tick for several periods: the scheduler was created anew.',
  cron_not_checked: 'Could not read the time of the last tick; tried again.',
  key_types_not_checked: 'Could not look for keys that somebody gave another type; tried again.',
  events_not_handled: 'Events could not be handled; they are claimed and handled again.',
  events_not_claimed: 'Events of an ended analyzer could not be claimed; tried again.',
  stream_entry_rejected:
    'An entry of an event stream is not in the format this program writes; it is dropped.',

  // nudger
  dry_run: 'A message would have been sent; the setting `dry_run` is on.',
  delivery_dropped: 'A job had nothing left to do: its decision was withdrawn or replaced.',
  delivery_refused:
    'The controller refused a start or stop (dialect hm9000-http); `why` has its status and text.',
  delivery_late:
    'The process was suspended just before sending, so the message was not sent; it is decided again.',
  delivery_unconfirmed:
    'NATS was lost while a message was sent: it may have arrived. It is decided again if not.',
  outcome_not_stored: 'The record changed at every try; the job is repeated later.',

  // reporter
  query_not_answered: 'A query could not be answered: see its error.',
  reply_too_large:
    'A reply was left out because it exceeds max_payload of NATS: raise max_payload, or ask for fewer details.',
  heartbeat_interval_not_read: 'The heartbeat interval could not be observed; tried again.',
  holds_not_read: 'The holds could not be read for the log; tried again.',
  webhook_not_queued:
    'An event for webhooks could not be queued, because Redis is away: its receivers do not get it.',
  webhook_dropped: 'Too many webhook deliveries wait, so this one was dropped. Repair the receiver.',
  webhook_failed: 'A receiver of a webhook did not accept it; tried again: see `host` and `problem`.',
  webhook_given_up:
    'A receiver of a webhook did not accept it, and it is not tried again: see `host` and `problem`.',
  operator_act:
    'An operator paused, resumed, released, synced or retried, or was refused: see `act`, `outcome` and `by`.',
  dashboard_not_read: 'The live figures could not be read: see the error.',
  queue_board_failed: 'A request of the page `/queues` failed: see the error.',

  // `hm start`
  server_started: 'A private Redis or NATS server answers.',
  child_started: 'A process or server was started.',
  child_ended: 'A process or server ended; it is restarted after `restart_in_s`.',
  child_given_up: 'A process cannot run; everything stops. Its own lines name the cause.',
} as const;

export type LogEvent = keyof typeof LOG_EVENTS;
