import { randomBytes } from 'node:crypto';
import type { Dialect } from '../messages/dialects/dialects.ts';
import type { PolicySettings } from '../policy/settings.ts';
import { assertThresholds } from '../policy/thresholds.ts';
import { OPTIONS, type Path, type ValueOf } from './options.ts';
import type { LogLevel, NatsUrl } from './parsers/parsers.ts';
import type { TlsSection, TlsSettings } from './tls.ts';
import type { WebhookSettings } from './webhooks.ts';

export type RedisSettings = (
  | { kind: 'single'; url: string }
  | { kind: 'cluster'; nodes: string[] }
  | {
      kind: 'sentinel';
      name: string;
      nodes: string[];
      /** Of the sentinels, if it is another one than that in the nodes' URLs. */
      login?: { username?: string; password?: string };
    }
) & {
  /** TLS is required, with or without `rediss://`. */
  tls?: TlsSettings;
};

export interface MbusSettings {
  /** `host:port` each, without credentials. */
  servers: string[];
  /** TLS is required: no connection without it. */
  tls: boolean;
  user?: string;
  password?: string;
  token?: string;
  tlsFiles?: TlsSettings;
  credsFile?: string;
  nkeySeedFile?: string;
}

/** Names of PEM files, and where to listen. */
export interface HeartbeatApiSettings {
  host: string;
  /** 0: any free port. */
  port: number;
  certFile: string;
  keyFile: string;
  /** The CAs of the certificates of DEAs. */
  caFile: string;
}

export interface LoggingSettings {
  level: LogLevel;
  file?: string;
}

/** The configuration as the processes use it; times in milliseconds. */
export interface DashboardLinks {
  app?: string;
  dea?: string;
  grafana?: string;
}

export interface Settings {
  mbus: MbusSettings;
  /** False: neither the file nor MBUS_URI has a URL, so the launcher starts a private NATS server. */
  mbusGiven: boolean;
  ccPartition: string;
  bulkApi: { host: string; batchSize: number; timeoutMs: number; maxApps: number; tls?: TlsSettings };
  dialect: Dialect;
  /** Where starts and stops go with the dialect `hm9000-http`. Present with that dialect. */
  internalApi?: { url: string; user: string; password: string };
  /** Where DEAs send heartbeats over HTTPS with the dialect `hm9000-http`; absent: over NATS only. */
  heartbeatApi?: HeartbeatApiSettings;
  /** Absent: the launcher starts a private Redis. Without the launcher Redis is required. */
  redis?: RedisSettings;
  redisPrefix: string;
  slices: number;
  policy: PolicySettings;
  /** `desired_state_update` */
  syncPeriodMs: number;
  postponeUpdateMs: number;
  bulkCredentialsTimeoutMs: number;
  /** `queue_batch_size`: most starts in `startsPeriodMs`, of all nudgers together. */
  startsPerPeriod: number;
  /** `request_queue` */
  startsPeriodMs: number;
  /** Droplets a second, of the whole deployment. */
  auditRate: number;
  status: {
    host: string;
    port: number;
    user: string;
    password: string;
    /** Absent: user or password is random, so only programs that get both over NATS can log in. */
    loginGiven?: true;
    queuesWritable: boolean;
    /** A login that may change nothing. */
    readonly?: { user: string; password: string };
    /** Header with the name of the person, from an authenticating proxy; lower case. */
    userHeader?: string;
  };
  /** Links of the dashboard; in those of an app and of a DEA `{guid}` stands for its guid. Absent: none. */
  links?: DashboardLinks;
  /** Receivers of events; empty: none. */
  webhooks: readonly WebhookSettings[];
  index: number;
  localRoute?: string;
  pidFile?: string;
  dryRun: boolean;
  logging: LoggingSettings;
}

function linksOf(get: Get): { links?: DashboardLinks } {
  const names = ['app', 'dea', 'grafana'] as const;
  const given = names.map((name) => [name, get(`dashboard.links.${name}`)] as const);
  const links = Object.fromEntries(given.filter(([, link]) => link !== undefined));
  return Object.keys(links).length === 0 ? {} : { links };
}

/** The read-only login; both parts are given, or none. */
function readonlyOf(get: Get): Pick<Settings['status'], 'readonly'> {
  const [user, password] = [get('status.readonly_user'), get('status.readonly_password')];
  return user === undefined || password === undefined ? {} : { readonly: { user, password } };
}

/** At least 1 ms, because a timer of 0 would be a busy loop. */
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

/** Whether the URLs have different logins; a connection can only use one. */
export function hasSeveralLogins(urls: readonly NatsUrl[]): boolean {
  const logins = urls.map((url) => JSON.stringify([url.user, url.password, url.token]));
  return new Set(logins).size > 1;
}

type Get = <P extends Path>(path: P) => ValueOf<P>;
type Given = (path: Path) => boolean;

/** A section of TLS, if any key of it is given. */
function tlsOf(get: Get, given: Given, section: TlsSection): TlsSettings | undefined {
  const [ca, cert, key, skip] = [
    `${section}.ca_file`,
    `${section}.cert_file`,
    `${section}.key_file`,
    `${section}.skip_verify`,
  ] as const;
  if (![ca, cert, key, skip].some(given)) return undefined;
  const [caFile, certFile, keyFile] = [get(ca), get(cert), get(key)];
  return {
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
    skipVerify: get(skip),
  };
}

function redisOf(get: Get, given: Given): RedisSettings | undefined {
  const [url, cluster, name, nodes] = [
    get('redis.url'),
    get('redis.cluster'),
    get('redis.sentinel.name'),
    get('redis.sentinel.nodes'),
  ];
  const tls = tlsOf(get, given, 'redis.tls');
  const common = { ...(tls !== undefined && { tls }) };
  if (url !== undefined) return { kind: 'single', url, ...common };
  if (cluster !== undefined) return { kind: 'cluster', nodes: cluster, ...common };
  if (name === undefined || nodes === undefined) return undefined;
  const [username, password] = [get('redis.sentinel.username'), get('redis.sentinel.password')];
  const login = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  };
  return { kind: 'sentinel', name, nodes, ...(password !== undefined && { login }), ...common };
}

function internalApiOf(get: Get): Pick<Settings, 'internalApi'> {
  const [url, user, password] = [
    get('cc_internal_url'),
    get('internal_api.user'),
    get('internal_api.password'),
  ];
  if (url === undefined || user === undefined || password === undefined) return {};
  return { internalApi: { url, user, password } };
}

function heartbeatApiOf(get: Get): Pick<Settings, 'heartbeatApi'> {
  const [certFile, keyFile, caFile] = [
    get('heartbeat_api.cert_file'),
    get('heartbeat_api.key_file'),
    get('heartbeat_api.ca_file'),
  ];
  if (certFile === undefined || keyFile === undefined || caFile === undefined) return {};
  const [host, port] = [get('heartbeat_api.host'), get('heartbeat_api.port')];
  return { heartbeatApi: { host, port, certFile, keyFile, caFile } };
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
    probeCrashedApps: get('probe_crashed_apps'),
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
 * @param get the value of a key, or its default
 * @param given whether the file or the environment has the key
 */
export function toSettings(get: Get, given: Given): Settings {
  const redis = redisOf(get, given);
  const localRoute = get('local_route');
  const pidFile = get('pid');
  const credsFile = get('nats.creds');
  const nkeySeedFile = get('nats.nkey_seed_file');
  const tlsFiles = tlsOf(get, given, 'nats.tls');
  const bulkApiTls = tlsOf(get, given, 'bulk_api.tls');
  const file = get('logging.file');
  const userHeader = get('status.user_header');
  const policy = policyOf(get);
  assertThresholds(policy);
  return {
    mbus: {
      ...mbusOf(get('mbus')),
      ...(tlsFiles === undefined ? {} : { tls: true, tlsFiles }),
      ...(credsFile === undefined ? {} : { credsFile }),
      ...(nkeySeedFile === undefined ? {} : { nkeySeedFile }),
    },
    mbusGiven: given('mbus'),
    ccPartition: get('cc_partition'),
    bulkApi: {
      host: get('bulk_api.host'),
      batchSize: get('bulk_api.batch_size'),
      timeoutMs: ms(get('bulk_api.timeout')),
      maxApps: get('bulk_api.max_apps'),
      ...(bulkApiTls === undefined ? {} : { tls: bulkApiTls }),
    },
    dialect: get('dialect'),
    ...internalApiOf(get),
    ...heartbeatApiOf(get),
    ...(redis === undefined ? {} : { redis }),
    redisPrefix: get('redis.prefix'),
    slices: get('slices'),
    policy,
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
      ...(given('status.user') && given('status.password') ? { loginGiven: true } : {}),
      queuesWritable: get('status.queues_writable'),
      ...readonlyOf(get),
      ...(userHeader === undefined ? {} : { userHeader }),
    },
    ...linksOf(get),
    webhooks: get('webhooks') ?? [],
    index: get('index'),
    ...(localRoute === undefined ? {} : { localRoute }),
    ...(pidFile === undefined ? {} : { pidFile }),
    dryRun: get('dry_run'),
    logging: { level: get('logging.level'), ...(file === undefined ? {} : { file }) },
  };
}

/** The settings of an empty file; for tests. */
export function defaultSettings(): Settings {
  return toSettings(
    <P extends Path>(path: P) => OPTIONS[path].default as ValueOf<P>,
    () => false,
  );
}
