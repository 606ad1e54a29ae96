/**
 * Every key of the configuration, declared once: its kind, its default with the reason for it, its meaning
 * (contract: configuration).
 */
import {
  anything,
  fileContent,
  fraction,
  httpUrl,
  keyPrefix,
  logLevel,
  type NatsUrl,
  natsUrls,
  type Parser,
  positive,
  redisUrl,
  redisUrls,
  seconds,
  secondsOrZero,
  sentinelNodes,
  text,
  whole,
  wholeFrom,
  yesNo,
} from './parsers.ts';

/** One key. `undefined` as the default: none. */
export interface Option<T> {
  kind: Parser<T>;
  default: T | undefined;
  /** The reason for the default. */
  why: string;
  meaning: string;
  /** The environment variable that wins over the file. */
  env?: string;
  /** A wrong value is not shown as it is. */
  secret?: true;
  /** Read for old files' sake. `warn`: and said to be so. */
  unused?: 'silent' | 'warn';
}

const OLD = "HM 2.0's default; its operators' files rely on it";

function key<T>(
  kind: Parser<T>,
  value: T,
  meaning: string,
  why = OLD,
  more: Partial<Option<T>> = {},
): Option<T> & { default: T } {
  return { kind, meaning, why, ...more, default: value };
}

function optional<T>(
  kind: Parser<T>,
  meaning: string,
  why: string,
  more: Partial<Option<T>> = {},
): Option<T> {
  return { kind, meaning, why, ...more, default: undefined };
}

function unused(meaning: string, how: 'silent' | 'warn'): Option<undefined> {
  return { kind: anything, default: undefined, meaning, why: 'not used', unused: how };
}

const LOCAL_NATS: NatsUrl[] = [{ server: '127.0.0.1:4222', tls: false }];

/** By path in the file. The order is the order of the documentation. */
export const OPTIONS = {
  mbus: key(natsUrls, LOCAL_NATS, 'NATS server or servers', "NATS's own port", {
    env: 'MBUS_URI',
    secret: true,
  }),
  'nats.creds': optional(
    fileContent,
    'credentials file (JWT and seed) to log in to NATS with',
    'a login in the URL, or none, does for most',
  ),
  'nats.nkey_seed_file': optional(
    fileContent,
    'file with the NKey seed to log in to NATS with',
    'a login in the URL, or none, does for most; a file, so that neither `ps` nor the configuration shows it',
  ),
  cc_partition: key(text, 'default', 'messages of another partition are ignored'),
  'bulk_api.host': key(httpUrl, 'http://api.vcap.me', 'the controller', OLD, { secret: true }),
  'bulk_api.batch_size': key(wholeFrom(1), 500, 'droplets a page asked for'),
  'logging.level': key(logLevel, 'info', 'least level that is logged', OLD, { env: 'LOG_LEVEL' }),
  'logging.file': optional(text, 'log file', 'stdout, for whoever runs the process to collect'),
  'logging.syslog': unused('a syslog name', 'warn'),
  pid: optional(text, 'pid file', 'supervisors of today need none'),
  index: key(wholeFrom(0), 0, 'index of this component in its registration'),
  local_route: optional(text, 'address whose route tells the own address', 'right on hosts with one network'),
  'status.host': key(
    text,
    '127.0.0.1',
    "address of the reporter's HTTP server",
    'not open to the network unasked',
  ),
  'status.port': key(wholeFrom(0, 65_535), 54_321, "port of the reporter's HTTP server; 0: any free one"),
  'status.user': optional(text, 'basic auth', 'random: nothing to guess', { secret: true }),
  'status.password': optional(text, 'basic auth', 'random: nothing to guess', { secret: true }),
  'status.queues_writable': key(
    yesNo,
    false,
    'jobs and queues can be changed at /queues',
    'what is in the queues follows from the records; changed by hand it only delays what is to be done',
  ),
  number_of_droplets_analyzed_per_analysis_iteration: unused('size of a slice of the old analysis', 'warn'),

  'intervals.desired_state_update': key(seconds, 60, 'period of the bulk sync'),
  'intervals.desired_state_lost': key(seconds, 180, 'a desired state older than this is not acted on'),
  'intervals.postpone_update': key(seconds, 30, 'wait before the next try after a failed sync'),
  'intervals.droplet_lost': key(seconds, 30, 'an instance unheard for longer is missing'),
  'intervals.droplets_analysis': key(seconds, 20, 'every droplet is analysed at least this often'),
  'intervals.flapping_death': key(wholeFrom(0), 1, 'crashes above this count are flapping'),
  'intervals.flapping_timeout': key(seconds, 500, 'crashes further apart do not count together'),
  'intervals.min_restart_delay': key(seconds, 60, 'delay of the first flapping restart'),
  'intervals.max_restart_delay': key(seconds, 480, 'longest delay of a flapping restart'),
  'intervals.delay_time_noise': key(secondsOrZero, 5, 'chance adds or takes at most this to the delay'),
  'intervals.giveup_crash_number': key(whole, 4, 'crashes above this count: given up; 0 or less: never'),
  'intervals.request_queue': key(seconds, 1, 'period of the start limit'),
  'intervals.queue_batch_size': key(wholeFrom(1), 40, 'starts a period, over all nudgers together'),
  'intervals.droplet_gc': key(seconds, 300, 'period of the clean-up'),
  'intervals.droplet_gc_grace_period': key(seconds, 240, 'out of the desired state for less: kept'),
  'intervals.bulk_credentials_timeout': key(seconds, 5, "wait for the controller's credentials"),
  'intervals.analysis_delay': unused('delay of the old analysis', 'silent'),
  'intervals.run_loop_interval': unused('period of the old run loop', 'silent'),
  'intervals.check_nats_availability': unused('NATS is watched all the time', 'silent'),
  // From files older than HM 2.0, still in the example that came with it.
  'intervals.database_scan': unused('see intervals.desired_state_update', 'warn'),
  'intervals.restart_timeout': unused('see intervals.min_restart_delay', 'warn'),
  'intervals.stable_state': unused('see intervals.droplet_lost', 'warn'),
  dequeueing_rate: unused('see intervals.queue_batch_size', 'warn'),
  shadow_mode: unused('see dry_run', 'warn'),

  'redis.url': optional(redisUrl, 'one Redis', 'the launcher starts a private one', {
    env: 'REDIS_URL',
    secret: true,
  }),
  'redis.cluster': optional(
    redisUrls,
    'seeds of a Redis Cluster; the login and TLS of a URL count for all nodes',
    'one Redis does for most',
    {
      secret: true,
    },
  ),
  'redis.sentinel.name': optional(text, 'name of the master', 'one Redis does for most'),
  'redis.sentinel.nodes': optional(
    sentinelNodes,
    'sentinels; the login and TLS of a URL count for the servers too',
    'one Redis does for most',
    { secret: true },
  ),
  'redis.prefix': key(keyPrefix, 'hm', 'first part of every key', 'short: it is in every key'),
  slices: key(
    wholeFrom(1, 65_536),
    256,
    'pieces that the droplets are shared out over; fixed at the first start',
    '4,000 droplets a slice at a million: one job is short, and 256 spread over any Redis Cluster',
  ),
  audit_rate: key(
    positive,
    2_000,
    'droplets a second that the slow audit looks at at most, over the whole deployment; ten times as many while it counts a fleet for the first time',
    'a look costs about 25 us of CPU, with what Redis does for it, so 5% of a core, and up to 40,000 droplets are all looked at every 20 s',
  ),
  'mass_loss.fraction': key(
    fraction,
    0.55,
    'share of late DEAs that raises the hold',
    'more than half the hosts dead at once is rarer than a cut-off network',
  ),
  'mass_loss.minimum_deas': key(
    wholeFrom(1),
    3,
    'fewer late DEAs never raise it',
    'one or two hosts do die together',
  ),
  'mass_loss.hold': key(
    seconds,
    300,
    'longest time it is on',
    'long enough for a network to be mended or an operator to look',
  ),
  'mass_delete.fraction': key(
    fraction,
    0.5,
    'share of droplets gone in one pass that raises the hold',
    'nobody deletes half the apps within a minute',
  ),
  'mass_delete.minimum_droplets': key(
    wholeFrom(1),
    10,
    'fewer gone never raise it',
    'in a small cloud half is soon deleted',
  ),
  'mass_delete.hold': key(seconds, 3_600, 'longest time it is on', 'surplus apps do no harm for an hour'),
  dry_run: key(yesNo, false, 'decide and log, publish nothing', 'it is there to act'),
} as const;

export type Path = keyof typeof OPTIONS;
/** What a key holds: `undefined` is part of it only where there is no default. */
export type ValueOf<P extends Path> = (typeof OPTIONS)[P] extends { default: infer D; kind: Parser<infer T> }
  ? undefined extends D
    ? T | undefined
    : T
  : never;
