/**
 * Every key of the configuration, declared once: its kind, its default with the reason for it, its meaning
 * (contract: configuration); and `Settings`, what the processes get to see.
 */
import { randomBytes } from 'node:crypto';
import {
  anything,
  fraction,
  httpUrl,
  type Kind,
  keyPrefix,
  type LogLevel,
  logLevel,
  type NatsUrl,
  natsUrls,
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
} from './kinds.ts';
import type { PolicySettings } from './policy/settings.ts';

/** One key. `undefined` as the default: none. */
export interface Key<T> {
  kind: Kind<T>;
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
  kind: Kind<T>,
  value: T,
  meaning: string,
  why = OLD,
  more: Partial<Key<T>> = {},
): Key<T> & { default: T } {
  return { kind, meaning, why, ...more, default: value };
}

function optional<T>(kind: Kind<T>, meaning: string, why: string, more: Partial<Key<T>> = {}): Key<T> {
  return { kind, meaning, why, ...more, default: undefined };
}

function unused(meaning: string, how: 'silent' | 'warn'): Key<undefined> {
  return { kind: anything, default: undefined, meaning, why: 'not used', unused: how };
}

const LOCAL_NATS: NatsUrl[] = [{ server: '127.0.0.1:4222', tls: false }];

/** By path in the file. The order is the order of the documentation. */
export const KEYS = {
  mbus: key(natsUrls, LOCAL_NATS, 'NATS server or servers', "NATS's own port", {
    env: 'MBUS_URI',
    secret: true,
  }),
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
  'redis.cluster': optional(redisUrls, 'seeds of a Redis Cluster', 'one Redis does for most', {
    secret: true,
  }),
  'redis.sentinel.name': optional(text, 'name of the master', 'one Redis does for most'),
  'redis.sentinel.nodes': optional(sentinelNodes, 'sentinels', 'one Redis does for most', { secret: true }),
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
    'droplets a second that the slow audit looks at at most, over the whole deployment',
    'a look costs about 10 us of CPU, so 2% of a core, and up to 40,000 droplets are all looked at every 20 s',
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

export type Path = keyof typeof KEYS;
/** What a key holds: `undefined` is part of it only where there is no default. */
export type ValueOf<P extends Path> = (typeof KEYS)[P] extends { default: infer D; kind: Kind<infer T> }
  ? undefined extends D
    ? T | undefined
    : T
  : never;

export type RedisSettings =
  | { kind: 'single'; url: string }
  | { kind: 'cluster'; nodes: string[] }
  | { kind: 'sentinel'; name: string; nodes: string[] };

export interface MbusSettings {
  /** `host:port` each, without credentials. */
  servers: string[];
  /** TLS is demanded: a server without it is not talked to. */
  tls: boolean;
  user?: string;
  password?: string;
  token?: string;
}

export interface LoggingSettings {
  level: LogLevel;
  file?: string;
}

/** The configuration as the processes see it; times in milliseconds. */
export interface Settings {
  mbus: MbusSettings;
  /** False: neither the file nor MBUS_URI names a server, so the launcher starts a private one. */
  mbusGiven: boolean;
  ccPartition: string;
  bulkApi: { host: string; batchSize: number };
  /** Absent: the launcher starts a private one; a single process cannot do without. */
  redis?: RedisSettings;
  redisPrefix: string;
  slices: number;
  policy: PolicySettings;
  /** `desired_state_update` */
  syncPeriodMs: number;
  postponeUpdateMs: number;
  bulkCredentialsTimeoutMs: number;
  /** `queue_batch_size`: at most this many starts ... */
  startsPerPeriod: number;
  /** `request_queue`: ... in this time, over all nudgers. */
  startsPeriodMs: number;
  /** Droplets a second, over the whole deployment. */
  auditRate: number;
  status: { host: string; port: number; user: string; password: string };
  index: number;
  localRoute?: string;
  pidFile?: string;
  dryRun: boolean;
  logging: LoggingSettings;
}

/** At least 1 ms: a timer of 0 would be a busy loop. */
function ms(seconds: number): number {
  return Math.max(1, Math.round(seconds * 1000));
}

function mbusOf(urls: NatsUrl[]): MbusSettings {
  const settings: MbusSettings = {
    servers: urls.map((url) => url.server),
    tls: urls.some((url) => url.tls),
  };
  const login = urls.find((url) => url.user !== undefined || url.token !== undefined);
  if (login?.token !== undefined) settings.token = login.token;
  if (login?.user !== undefined) settings.user = login.user;
  if (login?.password !== undefined) settings.password = login.password;
  return settings;
}

/** Whether the URLs name more than one login; a connection can only have one. */
export function hasSeveralLogins(urls: readonly NatsUrl[]): boolean {
  const logins = urls.map((url) => JSON.stringify([url.user, url.password, url.token]));
  return new Set(logins).size > 1;
}

type Get = <P extends Path>(path: P) => ValueOf<P>;

function redisOf(get: Get): RedisSettings | undefined {
  const [url, cluster, name, nodes] = [
    get('redis.url'),
    get('redis.cluster'),
    get('redis.sentinel.name'),
    get('redis.sentinel.nodes'),
  ];
  if (url !== undefined) return { kind: 'single', url };
  if (cluster !== undefined) return { kind: 'cluster', nodes: cluster };
  if (name !== undefined && nodes !== undefined) return { kind: 'sentinel', name, nodes };
  return undefined;
}

function policyOf(get: Get): PolicySettings {
  return {
    dropletLostMs: ms(get('intervals.droplet_lost')),
    desiredStateLostMs: ms(get('intervals.desired_state_lost')),
    flappingDeath: get('intervals.flapping_death'),
    flappingTimeoutMs: ms(get('intervals.flapping_timeout')),
    minRestartDelayMs: ms(get('intervals.min_restart_delay')),
    maxRestartDelayMs: ms(get('intervals.max_restart_delay')),
    delayTimeNoiseMs: Math.round(get('intervals.delay_time_noise') * 1000),
    giveupCrashNumber: get('intervals.giveup_crash_number'),
    dropletsAnalysisMs: ms(get('intervals.droplets_analysis')),
    dropletGcMs: ms(get('intervals.droplet_gc')),
    dropletGcGraceMs: ms(get('intervals.droplet_gc_grace_period')),
    massLoss: {
      fraction: get('mass_loss.fraction'),
      minimumDeas: get('mass_loss.minimum_deas'),
      holdMs: ms(get('mass_loss.hold')),
    },
    massDelete: {
      fraction: get('mass_delete.fraction'),
      minimumDroplets: get('mass_delete.minimum_droplets'),
      holdMs: ms(get('mass_delete.hold')),
    },
  };
}

/**
 * Puts the settings together.
 *
 * @param get the value of a key, its default where none is given
 * @param given whether the file or the environment gives the key
 */
export function toSettings(get: Get, given: (path: Path) => boolean): Settings {
  const redis = redisOf(get);
  const localRoute = get('local_route');
  const pidFile = get('pid');
  const file = get('logging.file');
  return {
    mbus: mbusOf(get('mbus')),
    mbusGiven: given('mbus'),
    ccPartition: get('cc_partition'),
    bulkApi: { host: get('bulk_api.host'), batchSize: get('bulk_api.batch_size') },
    ...(redis === undefined ? {} : { redis }),
    redisPrefix: get('redis.prefix'),
    slices: get('slices'),
    policy: policyOf(get),
    syncPeriodMs: ms(get('intervals.desired_state_update')),
    postponeUpdateMs: ms(get('intervals.postpone_update')),
    bulkCredentialsTimeoutMs: ms(get('intervals.bulk_credentials_timeout')),
    startsPerPeriod: get('intervals.queue_batch_size'),
    startsPeriodMs: ms(get('intervals.request_queue')),
    auditRate: get('audit_rate'),
    status: {
      host: get('status.host'),
      port: get('status.port'),
      user: get('status.user') ?? randomBytes(8).toString('hex'),
      password: get('status.password') ?? randomBytes(16).toString('hex'),
    },
    index: get('index'),
    ...(localRoute === undefined ? {} : { localRoute }),
    ...(pidFile === undefined ? {} : { pidFile }),
    dryRun: get('dry_run'),
    logging: { level: get('logging.level'), ...(file === undefined ? {} : { file }) },
  };
}

/** The settings of an empty file. For tests. */
export function defaultSettings(): Settings {
  return toSettings(
    <P extends Path>(path: P) => KEYS[path].default as ValueOf<P>,
    () => false,
  );
}
