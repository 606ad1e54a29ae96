/** Every key of the configuration (contract: configuration): its parser, its meaning, its default and the reason for that. */
import {
  certificateFile,
  natsCredentialsFile,
  natsSeedFile,
  privateKeyFile,
} from './parsers/file-parsers.ts';
import { key, OLD, type Option, optional, tlsKeys, unused } from './parsers/option-kinds.ts';
import {
  dialect,
  fraction,
  headerName,
  httpUrl,
  keyPrefix,
  linkTemplate,
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
} from './parsers/parsers.ts';
import { webhooks } from './webhooks.ts';

export type { Option };

const LOCAL_NATS: NatsUrl[] = [{ server: '127.0.0.1:4222', tls: false }];

/** By path in the file, in the order of the documentation. */
export const OPTIONS = {
  mbus: key(natsUrls, LOCAL_NATS, 'NATS server, or list of servers', 'the default port of NATS', {
    env: 'MBUS_URI',
    secret: true,
  }),
  'nats.creds': optional(
    natsCredentialsFile,
    'NATS credentials file (JWT and seed), read again at each connect',
    'most deployments use a login in the URL, or none',
  ),
  'nats.nkey_seed_file': optional(
    natsSeedFile,
    'file with the NATS NKey seed, read again at each connect',
    'most deployments use a login in the URL, or none; a file, so that neither `ps` nor the configuration shows the seed',
  ),
  ...tlsKeys('nats.tls', 'NATS'),
  cc_partition: key(text, 'default', 'the own partition; messages of another partition are ignored'),
  'bulk_api.host': key(httpUrl, 'http://api.vcap.me', 'URL of the controller', OLD, { secret: true }),
  'bulk_api.batch_size': key(wholeFrom(1), 500, 'droplets in one page of the bulk API'),
  'bulk_api.timeout': key(
    seconds,
    10,
    'time-out of one page of the bulk API',
    'a page of 500 droplets takes well below a second',
  ),
  'bulk_api.max_apps': key(
    wholeFrom(1),
    5_000_000,
    'a bulk sync that lists more droplets fails',
    'above the largest fleet that was measured; a list that never ends would fill Redis',
  ),
  ...tlsKeys('bulk_api.tls', 'the controller'),
  dialect: key(
    dialect,
    'hm2',
    'how the controller is spoken to: as HealthManager 2.0 did (hm2), or as its successor hm9000 did until 2016 (hm9000-nats) or later (hm9000-http)',
    'the controllers that this program was made for',
  ),
  cc_internal_url: optional(
    httpUrl,
    'URL of the controller for starts and stops, with dialect hm9000-http',
    'the other dialects use NATS',
    { secret: true },
  ),
  'internal_api.user': optional(text, 'login for cc_internal_url', 'the other dialects use NATS', {
    ...{ secret: true, env: 'INTERNAL_API_USER' },
  }),
  'internal_api.password': optional(text, 'password for cc_internal_url', 'the other dialects use NATS', {
    ...{ secret: true, env: 'INTERNAL_API_PASSWORD' },
  }),
  'heartbeat_api.host': key(
    text,
    '0.0.0.0',
    'listen address of ingest for heartbeats over HTTPS, with dialect hm9000-http',
    'DEAs are on other hosts, and need a client certificate',
  ),
  'heartbeat_api.port': key(
    wholeFrom(0, 65_535),
    5_335,
    'its port; each copy of ingest on one host needs its own; 0: any free port',
    "hm9000's, which DEAs have in their configuration",
    { env: 'HEARTBEAT_API_PORT' },
  ),
  'heartbeat_api.cert_file': optional(
    certificateFile,
    'PEM file with the certificate that DEAs verify; read again every minute',
    'without the three files heartbeats are received over NATS only',
    { env: 'HEARTBEAT_API_CERT_FILE' },
  ),
  'heartbeat_api.key_file': optional(
    privateKeyFile,
    'PEM file with the key of cert_file',
    'without the three files heartbeats are received over NATS only',
    { env: 'HEARTBEAT_API_KEY_FILE' },
  ),
  'heartbeat_api.ca_file': optional(
    certificateFile,
    'PEM file with the CAs of the certificates of DEAs; every other sender is refused',
    'without the three files heartbeats are received over NATS only',
    { env: 'HEARTBEAT_API_CA_FILE' },
  ),
  'logging.level': key(logLevel, 'info', 'lowest level that is logged', OLD, { env: 'LOG_LEVEL' }),
  'logging.file': optional(text, 'log file', 'standard output, which the supervisor collects'),
  'logging.syslog': unused('a syslog name', 'warn'),
  pid: optional(text, 'pid file', 'current supervisors need none'),
  index: key(wholeFrom(0), 0, 'index of this component in its registration'),
  local_route: optional(
    text,
    'the registration has the local address that is used to reach this one',
    'not needed on hosts with one network',
  ),
  'status.host': key(
    text,
    '127.0.0.1',
    "listen address of the reporter's HTTP server",
    'not reachable from the network unless configured',
  ),
  'status.port': key(wholeFrom(0, 65_535), 54_321, "port of the reporter's HTTP server; 0: any free port"),
  'status.user': optional(text, 'basic auth user', 'random, so that it cannot be guessed', {
    env: 'STATUS_USER',
    secret: true,
  }),
  'status.password': optional(text, 'basic auth password', 'random, so that it cannot be guessed', {
    env: 'STATUS_PASSWORD',
    secret: true,
  }),
  'status.readonly_user': optional(
    text,
    'basic auth user that may read everything and change nothing',
    'one login is enough for most',
    { secret: true },
  ),
  'status.readonly_password': optional(
    text,
    'password of status.readonly_user',
    'one login is enough for most',
    { secret: true },
  ),
  'status.user_header': optional(
    headerName,
    'HTTP header with the name of the person, which an authenticating proxy sets; it is only logged. The proxy must remove it from what clients send',
    'without such a proxy anybody could write any name',
  ),
  'status.queues_writable': key(
    yesNo,
    false,
    'whether jobs and queues can be changed at /queues',
    'jobs are derived from the records, so a change by hand only delays them',
  ),
  number_of_droplets_analyzed_per_analysis_iteration: unused('slice size of the old analysis', 'warn'),

  'intervals.desired_state_update': key(seconds, 60, 'period of the bulk sync'),
  'intervals.desired_state_lost': key(seconds, 180, 'a desired state older than this is too old to act on'),
  'intervals.postpone_update': key(seconds, 30, 'wait before the retry of a failed sync'),
  'intervals.droplet_lost': key(seconds, 30, 'an instance without a heartbeat for longer is missing'),
  'intervals.droplets_analysis': key(seconds, 20, 'every droplet is reconciled at least this often'),
  'intervals.flapping_death': key(wholeFrom(0), 1, 'a slot with more crashes is flapping'),
  'intervals.flapping_timeout': key(
    seconds,
    500,
    'a crash later than this after the one before starts a new count',
  ),
  'intervals.min_restart_delay': key(seconds, 60, 'delay of the first flapping restart'),
  'intervals.max_restart_delay': key(seconds, 480, 'longest delay of a flapping restart'),
  'intervals.delay_time_noise': key(secondsOrZero, 5, 'restart delays differ at random by at most this'),
  'intervals.giveup_crash_number': key(whole, 4, 'a slot with more crashes is given up; 0 or less: never'),
  'intervals.request_queue': key(seconds, 1, 'period of the rate limit for starts'),
  'intervals.queue_batch_size': key(wholeFrom(1), 40, 'starts in one period, of all nudgers together'),
  'intervals.droplet_gc': key(seconds, 300, 'period of the clean-up'),
  'intervals.droplet_gc_grace_period': key(
    seconds,
    240,
    'a droplet is kept for this long after it left the desired state',
  ),
  'intervals.bulk_credentials_timeout': key(
    seconds,
    5,
    "time-out of the request for the controller's credentials",
  ),
  'intervals.analysis_delay': unused('delay of the old analysis', 'silent'),
  'intervals.run_loop_interval': unused('period of the old run loop', 'silent'),
  'intervals.check_nats_availability': unused('the NATS connection is always monitored', 'silent'),
  // From files older than HM 2.0. Its own example file still has them.
  'intervals.database_scan': unused('see intervals.desired_state_update', 'warn'),
  'intervals.restart_timeout': unused('see intervals.min_restart_delay', 'warn'),
  'intervals.stable_state': unused('see intervals.droplet_lost', 'warn'),
  dequeueing_rate: unused('see intervals.queue_batch_size', 'warn'),
  shadow_mode: unused('see dry_run', 'warn'),

  'redis.url': optional(redisUrl, 'URL of a single Redis', 'the launcher starts a private Redis', {
    env: 'REDIS_URL',
    secret: true,
  }),
  'redis.cluster': optional(
    redisUrls,
    'seed URLs of a Redis Cluster; login and TLS of a URL apply to all nodes',
    'a single Redis is enough for most',
    { secret: true },
  ),
  'redis.sentinel.name': optional(text, 'name of the master', 'a single Redis is enough for most'),
  'redis.sentinel.nodes': optional(
    sentinelNodes,
    'sentinels; login and TLS of a URL also apply to the Redis servers',
    'a single Redis is enough for most',
    { secret: true },
  ),
  'redis.sentinel.username': optional(
    text,
    'user at the sentinels; the login in a URL of redis.sentinel.nodes is then for the Redis servers only',
    'most sentinels have no login, or that of the Redis servers',
    { secret: true },
  ),
  'redis.sentinel.password': optional(
    text,
    'password at the sentinels',
    'most sentinels have no login, or that of the Redis servers',
    { secret: true },
  ),
  ...tlsKeys('redis.tls', 'Redis and of sentinels'),
  'redis.prefix': key(keyPrefix, 'hm', 'first part of every key', 'short, because it is in every key'),
  slices: key(
    wholeFrom(1, 65_536),
    256,
    'number of slices, that is, groups of droplets that share a Redis hash tag; fixed at the first start',
    '4,000 droplets a slice at a million droplets: jobs are short, and 256 slices spread over any Redis Cluster',
  ),
  audit_rate: key(
    positive,
    2_000,
    'droplets that the audit reconciles in one second at most, over the whole deployment; ten times as many in the first round, which counts the fleet',
    'one reconcile costs about 25 us of CPU, Redis included: 5% of a core, and up to 40,000 droplets are all audited every 20 s',
  ),
  'mass_loss.fraction': key(
    fraction,
    0.55,
    'share of late DEAs that raises the hold',
    'that more than half the hosts are dead is less likely than a network failure',
  ),
  'mass_loss.minimum_deas': key(
    wholeFrom(1),
    3,
    'fewer late DEAs never raise the hold',
    'one or two hosts sometimes die together',
  ),
  'mass_loss.hold': key(
    seconds,
    300,
    'the hold ends after this time, in which ingestors listened',
    'enough time to repair a network or for an operator to react',
  ),
  'mass_delete.fraction': key(
    fraction,
    0.5,
    'a pass that lists fewer droplets by this share raises the hold',
    'deleting half of all apps within a minute is not normal use',
  ),
  'mass_delete.minimum_droplets': key(
    wholeFrom(1),
    10,
    'fewer missing droplets never raise the hold',
    'in a small cloud half of all apps are easily deleted',
  ),
  'mass_delete.hold': key(seconds, 3_600, 'the hold ends after this', 'surplus apps do no harm for an hour'),
  probe_crashed_apps: key(
    yesNo,
    false,
    'of an app of which every instance has crashed only index 0 is restarted; the others follow when it is RUNNING',
    'as in HealthManager 2.0; hm9000 did it',
  ),
  'dashboard.links.app': optional(
    linkTemplate,
    "link on the dashboard's page of an app: `https://console.example.com/apps/{guid}`",
    'every platform has other pages',
  ),
  'dashboard.links.dea': optional(
    linkTemplate,
    "link on the dashboard's page of a DEA",
    'every platform has other pages',
  ),
  'dashboard.links.grafana': optional(
    linkTemplate,
    'link in the head of the dashboard, to Grafana',
    'every platform has other pages',
  ),
  webhooks: optional(
    webhooks,
    'receivers of events: each gets a JSON POST, see operate.md',
    'most alerts come from metrics',
    { secret: true },
  ),
  dry_run: key(yesNo, false, 'decide and log, but publish nothing', 'normal operation'),
} as const;

export type Path = keyof typeof OPTIONS;
/** Type of a key's value; includes `undefined` only if the key has no default. */
export type ValueOf<P extends Path> = (typeof OPTIONS)[P] extends {
  default: infer D;
  parser: Parser<infer T>;
}
  ? undefined extends D
    ? T | undefined
    : T
  : never;
