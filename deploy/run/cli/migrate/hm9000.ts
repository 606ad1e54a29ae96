/** Translates a configuration of hm9000, HealthManager 2.0's successor, into one of this program. Pure. */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { Errors } from 'typebox/value';
import { Document } from 'yaml';
import { ConfigError } from '../../../../common/config/load.ts';
import type { Path } from '../../../../common/config/options.ts';

const Count = Type.Integer({ minimum: 0 });
const Text = Type.String();

/** The keys of hm9000 that have a counterpart. Each has a default there. */
const HM9000 = Type.Object({
  heartbeat_period_in_seconds: Type.Integer({ minimum: 1, default: 10 }),
  heartbeat_ttl_in_heartbeats: Type.Integer({ minimum: 1, default: 3 }),
  desired_freshness_ttl_in_heartbeats: Type.Integer({ minimum: 1, default: 12 }),
  sender_polling_interval_in_heartbeats: Type.Integer({ minimum: 1, default: 1 }),
  sender_message_limit: Type.Integer({ minimum: 1, default: 60 }),
  fetcher_polling_interval_in_heartbeats: Type.Integer({ minimum: 1, default: 6 }),
  fetcher_network_timeout_in_seconds: Type.Integer({ minimum: 1, default: 10 }),
  analyzer_polling_interval_in_heartbeats: Type.Integer({ minimum: 1, default: 1 }),
  shredder_polling_interval_in_heartbeats: Type.Integer({ minimum: 1, default: 360 }),
  number_of_crashes_before_backoff_begins: Type.Integer({ minimum: 0, default: 3 }),
  starting_backoff_delay_in_heartbeats: Type.Integer({ minimum: 1, default: 3 }),
  maximum_backoff_delay_in_heartbeats: Type.Integer({ minimum: 1, default: 96 }),
  desired_state_batch_size: Type.Integer({ minimum: 1, default: 500 }),
  cc_base_url: Type.Optional(Text),
  cc_internal_url: Type.Optional(Text),
  cc_auth_user: Type.Optional(Text),
  cc_auth_password: Type.Optional(Text),
  skip_cert_verify: Type.Optional(Type.Boolean()),
  metrics_server_port: Type.Optional(Count),
  metrics_server_user: Type.Optional(Text),
  metrics_server_password: Type.Optional(Text),
  api_server_address: Type.Optional(Text),
  api_server_port: Type.Optional(Count),
  api_server_username: Type.Optional(Text),
  api_server_password: Type.Optional(Text),
  log_level: Type.Optional(Text),
  http_heartbeat_server_address: Type.Optional(Text),
  http_heartbeat_port: Type.Optional(Count),
  ssl: Type.Optional(
    Type.Object({
      cert_file: Type.Optional(Text),
      key_file: Type.Optional(Text),
      ca_file: Type.Optional(Text),
    }),
  ),
  nats: Type.Optional(
    Type.Array(
      Type.Object({
        host: Type.String({ minLength: 1 }),
        port: Type.Integer({ minimum: 1, maximum: 65_535 }),
        user: Type.Optional(Text),
        password: Type.Optional(Text),
      }),
    ),
  ),
});
type Hm9000 = Static<typeof HM9000>;
const hm9000 = Compile(HM9000);

/** The keys of hm9000 without a counterpart, and what takes their place. */
const WITHOUT_COUNTERPART: Readonly<Record<string, string>> = {
  actual_freshness_ttl_in_heartbeats: 'freshness follows from intervals.droplet_lost',
  grace_period_in_heartbeats: 'the grace period is intervals.droplet_lost',
  sender_timeout_in_heartbeats: 'no process ends because a step takes long',
  fetcher_timeout_in_heartbeats: 'no process ends because a step takes long',
  shredder_timeout_in_heartbeats: 'no process ends because a step takes long',
  analyzer_timeout_in_heartbeats: 'no process ends because a step takes long',
  listener_heartbeat_sync_interval_in_milliseconds: 'heartbeats are stored at once',
  store_heartbeat_cache_refresh_interval_in_milliseconds: 'there is no cache',
  actual_freshness_key: 'the keys in Redis are fixed; see redis.prefix',
  desired_freshness_key: 'the keys in Redis are fixed; see redis.prefix',
  store_type: 'the state is in Redis: set redis.url',
  store_schema_version: 'the state is in Redis: set redis.url',
  store_urls: 'the state is in Redis: set redis.url',
  store_max_concurrent_requests: 'the state is in Redis: set redis.url',
  etcd_require_ssl: 'the state is in Redis: see redis.tls',
  etcd: 'the state is in Redis: see redis.tls',
  sender_nats_start_subject: 'the subject is hm9000.start',
  sender_nats_stop_subject: 'the subject is hm9000.stop',
  nats_client_ping_interval: 'the ping interval is fixed',
  dropsonde_port: 'metrics are on /metrics of each process',
  config_cluster: 'copies of a process need no lock',
  consul_cluster: 'copies of a process need no lock',
};

/**
 * @param text the JSON file
 * @param file its name, for error lines
 * @returns YAML with the same effect, and a comment for each key without a counterpart
 * @throws ConfigError with all problems
 */
export function migrateHm9000(text: string, file: string): string {
  const raw = parse(text, file);
  const config = hm9000.Default(raw);
  if (!hm9000.Check(config)) {
    throw new ConfigError(
      Errors(HM9000, config).map(
        ({ instancePath, message }) => `${file}: ${instancePath.slice(1).replaceAll('/', '.')}: ${message}`,
      ),
    );
  }
  const document = new Document({});
  for (const [path, value] of settingsOf(config)) document.setIn(path.split('.'), value);
  const without = Object.keys(raw).flatMap((key) => {
    if (!Object.hasOwn(HM9000.properties, key))
      return [` ${key}: ${WITHOUT_COUNTERPART[key] ?? 'not a key of hm9000'}`];
    return key === 'ssl' && !isHttpOf(config) ? [` ${key}: ${OVER_NATS}`] : [];
  });
  document.commentBefore = ` From ${file}, a configuration of hm9000. Add redis.url: the state is in Redis.`;
  if (without.length > 0) document.comment = [' Keys without a counterpart:', ...without].join('\n');
  return document.toString({ lineWidth: 0 });
}

function parse(text: string, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The parser's own message may quote the line, and a password in it.
    throw new ConfigError([`${file}: is not valid JSON`], { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError([`${file}: expected a JSON object with the keys of hm9000, got another value`]);
  return value as Record<string, unknown>;
}

/** In the order of the documentation; a value that is undefined is left out. */
function settingsOf(c: Hm9000): [Path, unknown][] {
  const seconds = (heartbeats: number) => heartbeats * c.heartbeat_period_in_seconds;
  const isHttp = isHttpOf(c);
  const found: [Path, unknown][] = [
    ['mbus', c.nats === undefined || c.nats.length === 0 ? undefined : c.nats.map(natsUrl)],
    ['bulk_api.host', c.cc_base_url],
    ['bulk_api.batch_size', c.desired_state_batch_size],
    ['bulk_api.timeout', c.fetcher_network_timeout_in_seconds],
    ['bulk_api.tls.skip_verify', c.cc_base_url?.startsWith('https:') ? c.skip_cert_verify : undefined],
    ['dialect', isHttp ? 'hm9000-http' : 'hm9000-nats'],
    ['cc_internal_url', isHttp ? c.cc_internal_url : undefined],
    ['internal_api.user', isHttp ? c.cc_auth_user : undefined],
    ['internal_api.password', isHttp ? c.cc_auth_password : undefined],
    ['heartbeat_api.host', isHttp ? c.http_heartbeat_server_address : undefined],
    ['heartbeat_api.port', isHttp ? c.http_heartbeat_port : undefined],
    ['heartbeat_api.cert_file', isHttp ? c.ssl?.cert_file : undefined],
    ['heartbeat_api.key_file', isHttp ? c.ssl?.key_file : undefined],
    ['heartbeat_api.ca_file', isHttp ? c.ssl?.ca_file : undefined],
    ['logging.level', c.log_level?.toLowerCase()],
    ...statusOf(c, isHttp),
    ['intervals.desired_state_update', seconds(c.fetcher_polling_interval_in_heartbeats)],
    ['intervals.desired_state_lost', seconds(c.desired_freshness_ttl_in_heartbeats)],
    ['intervals.droplet_lost', seconds(c.heartbeat_ttl_in_heartbeats)],
    ['intervals.droplets_analysis', seconds(c.analyzer_polling_interval_in_heartbeats)],
    ['intervals.flapping_death', c.number_of_crashes_before_backoff_begins],
    // hm9000 forgets crashes after twice the largest delay, and never gives up.
    ['intervals.flapping_timeout', 2 * seconds(c.maximum_backoff_delay_in_heartbeats)],
    ['intervals.min_restart_delay', seconds(c.starting_backoff_delay_in_heartbeats)],
    ['intervals.max_restart_delay', seconds(c.maximum_backoff_delay_in_heartbeats)],
    ['intervals.delay_time_noise', 0],
    ['intervals.giveup_crash_number', 0],
    ['intervals.request_queue', seconds(c.sender_polling_interval_in_heartbeats)],
    ['intervals.queue_batch_size', c.sender_message_limit],
    ['intervals.droplet_gc', seconds(c.shredder_polling_interval_in_heartbeats)],
    ['probe_crashed_apps', true],
  ];
  return found.filter(([, value]) => value !== undefined && value !== '');
}

const OVER_NATS = 'with dialect hm9000-nats heartbeats are received over NATS only; see heartbeat_api';

function isHttpOf({ cc_internal_url }: Hm9000): boolean {
  return cc_internal_url !== undefined && cc_internal_url !== '';
}

/** hm9000 had two HTTP servers. The controller asks the API server, with the dialect `hm9000-http` only. */
function statusOf(c: Hm9000, isHttp: boolean): [Path, unknown][] {
  return isHttp
    ? [
        ['status.host', c.api_server_address ?? '0.0.0.0'],
        ['status.port', c.api_server_port ?? 5155],
        ['status.user', c.api_server_username],
        ['status.password', c.api_server_password],
      ]
    : [
        ['status.port', c.metrics_server_port ?? 7879],
        ['status.user', c.metrics_server_user],
        ['status.password', c.metrics_server_password],
      ];
}

function natsUrl({ host, port, user, password }: NonNullable<Hm9000['nats']>[number]): string {
  const name = host.includes(':') ? `[${host}]` : host;
  const login =
    user === undefined || user === ''
      ? ''
      : `${encodeURIComponent(user)}:${encodeURIComponent(password ?? '')}@`;
  return `nats://${login}${name}:${port}`;
}
