import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ConfigError, parseConfig } from '../../../../common/config/load.ts';
import { createAuthority } from '../../../../common/testing/certificates/issue.ts';
import { migrateHm9000 } from './hm9000.ts';

/** As hm9000's own default file has it. */
const DEFAULT_FILE = {
  heartbeat_period_in_seconds: 10,
  cc_auth_user: 'mcat',
  cc_auth_password: 'testing',
  cc_base_url: 'http://127.0.0.1:6001',
  skip_cert_verify: true,
  desired_state_batch_size: 500,
  fetcher_network_timeout_in_seconds: 10,
  store_schema_version: 1,
  store_type: 'etcd',
  store_urls: ['http://127.0.0.1:4001'],
  metrics_server_port: 7879,
  metrics_server_user: 'metrics_server_user',
  metrics_server_password: 'canHazMetrics?',
  log_level: 'INFO',
  ssl: { key_file: 'server.key', cert_file: 'server.crt', ca_file: 'ca.crt' },
  nats_client_ping_interval: 30,
  nats: [{ host: '127.0.0.1', port: 4222, user: '', password: '' }],
  dropsonde_port: 12_345,
};

const ALL_KEYS = {
  ...DEFAULT_FILE,
  heartbeat_period_in_seconds: 5,
  heartbeat_ttl_in_heartbeats: 4,
  actual_freshness_ttl_in_heartbeats: 3,
  grace_period_in_heartbeats: 3,
  desired_freshness_ttl_in_heartbeats: 20,
  sender_polling_interval_in_heartbeats: 2,
  sender_timeout_in_heartbeats: 10,
  fetcher_polling_interval_in_heartbeats: 7,
  fetcher_timeout_in_heartbeats: 60,
  shredder_polling_interval_in_heartbeats: 100,
  shredder_timeout_in_heartbeats: 6,
  analyzer_polling_interval_in_heartbeats: 3,
  analyzer_timeout_in_heartbeats: 10,
  listener_heartbeat_sync_interval_in_milliseconds: 1000,
  store_heartbeat_cache_refresh_interval_in_milliseconds: 60_000,
  actual_freshness_key: '/actual-fresh',
  desired_freshness_key: '/desired-fresh',
  cc_base_url: 'https://cc.example.com',
  cc_internal_url: 'https://internal.example.com:9023',
  store_max_concurrent_requests: 30,
  sender_nats_start_subject: 'hm9000.start',
  sender_nats_stop_subject: 'hm9000.stop',
  sender_message_limit: 50,
  number_of_crashes_before_backoff_begins: 2,
  starting_backoff_delay_in_heartbeats: 6,
  maximum_backoff_delay_in_heartbeats: 60,
  api_server_address: '10.0.0.9',
  api_server_port: 5156,
  api_server_username: 'magnet',
  api_server_password: 'p:w',
  nats: [
    { host: 'nats-1', port: 4223, user: 'us@er', password: 'p/w' },
    { host: 'fd00::1', port: 4224, user: 'us@er', password: 'p/w' },
  ],
  http_heartbeat_server_address: '0.0.0.0',
  http_heartbeat_port: 5335,
  config_cluster: 'http://127.0.0.1:8500',
  etcd_require_ssl: true,
  etcd: {},
};

const migrated = (config: unknown) => migrateHm9000(JSON.stringify(config), 'hm9000.json');
const loaded = (config: unknown) =>
  parseConfig(migrated(config), 'health_manager.yml', { REDIS_URL: 'redis://r' });

describe('the default file of hm9000', () => {
  test('becomes a configuration with the same effect', () => {
    expect(parse(migrated(DEFAULT_FILE))).toEqual({
      mbus: ['nats://127.0.0.1:4222'],
      bulk_api: { host: 'http://127.0.0.1:6001', batch_size: 500, timeout: 10 },
      dialect: 'hm9000-nats',
      logging: { level: 'info' },
      status: { port: 7879, user: 'metrics_server_user', password: 'canHazMetrics?' },
      intervals: {
        desired_state_update: 60,
        desired_state_lost: 120,
        droplet_lost: 30,
        droplets_analysis: 10,
        flapping_death: 3,
        flapping_timeout: 1920,
        min_restart_delay: 30,
        max_restart_delay: 960,
        delay_time_noise: 0,
        giveup_crash_number: 0,
        request_queue: 10,
        queue_batch_size: 60,
        droplet_gc: 3600,
      },
      probe_crashed_apps: true,
    });
  });

  test('loads without a warning', () => {
    expect(loaded(DEFAULT_FILE).warnings).toEqual([]);
  });

  test('has a comment for each key without a counterpart', () => {
    const comments = migrated(DEFAULT_FILE)
      .split('\n')
      .filter((line) => /^# \w+: /.test(line));
    expect(comments).toEqual([
      '# store_schema_version: the state is in Redis: set redis.url',
      '# store_type: the state is in Redis: set redis.url',
      '# store_urls: the state is in Redis: set redis.url',
      '# ssl: with dialect hm9000-nats heartbeats are received over NATS only; see heartbeat_api',
      '# nats_client_ping_interval: the ping interval is fixed',
      '# dropsonde_port: metrics are on /metrics of each process',
    ]);
  });
});

describe('a file with every key of hm9000', () => {
  const dir = mkdtempSync(join(tmpdir(), 'hm-migrate-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test('loads, and each value has its place', () => {
    const { ca, issue } = createAuthority(dir, 'ca');
    const { cert, key } = issue('server');
    const ssl = { key_file: key, cert_file: cert, ca_file: ca };
    const { settings, warnings } = loaded({ ...ALL_KEYS, ssl });
    expect(warnings).toEqual([
      'health_manager.yml: bulk_api.tls.skip_verify: the certificate of the server is not verified',
    ]);
    expect(settings).toMatchObject({
      mbus: { servers: ['nats-1:4223', '[fd00::1]:4224'], user: 'us@er', password: 'p/w' },
      bulkApi: { host: 'https://cc.example.com', tls: { skipVerify: true } },
      dialect: 'hm9000-http',
      internalApi: { url: 'https://internal.example.com:9023', user: 'mcat', password: 'testing' },
      heartbeatApi: { host: '0.0.0.0', port: 5335, certFile: cert, keyFile: key, caFile: ca },
      status: { host: '10.0.0.9', port: 5156, user: 'magnet', password: 'p:w' },
      syncPeriodMs: 35_000,
      startsPerPeriod: 50,
      startsPeriodMs: 10_000,
      policy: {
        dropletLostMs: 20_000,
        desiredStateLostMs: 100_000,
        dropletsAnalysisMs: 15_000,
        flappingDeath: 2,
        flappingTimeoutMs: 600_000,
        minRestartDelayMs: 30_000,
        maxRestartDelayMs: 300_000,
        probeCrashedApps: true,
        dropletGcMs: 500_000,
      },
    });
  });

  test('has no key that is unknown', () => {
    expect(migrated(ALL_KEYS)).not.toContain('not a key of hm9000');
    expect(migrated({ ...ALL_KEYS, sender_limit: 1 })).toContain('# sender_limit: not a key of hm9000');
  });
});

test.each([
  ['no JSON', '{"nats": [{"password": "hidden"', ['hm9000.json: is not valid JSON']],
  ['no object', '[]', ['hm9000.json: expected a JSON object with the keys of hm9000, got another value']],
  [
    'wrong values',
    '{"heartbeat_period_in_seconds": "ten", "nats": [{"host": "", "port": 0}]}',
    [
      expect.stringContaining('hm9000.json: heartbeat_period_in_seconds: '),
      expect.stringContaining('hm9000.json: nats.0.host: '),
      expect.stringContaining('hm9000.json: nats.0.port: '),
    ],
  ],
])('%s is refused with every problem', (_, text, lines) => {
  let problem: unknown;
  try {
    migrateHm9000(text, 'hm9000.json');
  } catch (error) {
    problem = error;
  }
  expect(problem).toBeInstanceOf(ConfigError);
  expect((problem as ConfigError).lines).toEqual(lines);
});
