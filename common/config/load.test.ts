import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ConfigError, loadConfig, parseConfig } from './load.ts';
import { OPTIONS } from './options.ts';
import type { Settings } from './settings.ts';

const FILE = '/etc/hm/health_manager.yml';

function settingsOf(yaml: string, env: Record<string, string> = {}): Settings {
  return parseConfig(yaml, FILE, env).settings;
}

function warningsOf(yaml: string): string[] {
  return parseConfig(yaml, FILE, { STATUS_USER: 'u', STATUS_PASSWORD: 'p' }).warnings;
}

function problemsOf(yaml: string, env: Record<string, string> = {}): readonly string[] {
  try {
    parseConfig(yaml, FILE, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  return [];
}

describe('each key', () => {
  /** Every key that has an effect, each with another value than its default. */
  const ALL_KEYS = `
mbus: [nats://a:1, tls://us%40er:p%3Aw@b:2]
cc_partition: other
bulk_api: {host: https://cc.example.com, batch_size: 11, timeout: 12, max_apps: 13}
dialect: hm9000-http
cc_internal_url: https://internal.example.com/
internal_api: {user: internal, password: hidden}
logging: {level: all, file: hm.log}
pid: hm.pid
index: 12
local_route: 10.0.0.1
status: {host: 0.0.0.0, port: 13, user: watcher, password: secret, readonly_user: reader, readonly_password: open, user_header: X-User, queues_writable: true}
intervals:
  desired_state_update: 14
  desired_state_lost: 15
  postpone_update: 16
  droplet_lost: 17
  droplets_analysis: 18
  flapping_death: 19
  flapping_timeout: 20
  min_restart_delay: 21
  max_restart_delay: 22
  delay_time_noise: 23
  giveup_crash_number: 24
  request_queue: 25
  queue_batch_size: 26
  droplet_gc: 27
  droplet_gc_grace_period: 28
  bulk_credentials_timeout: 29
redis: {url: "redis://r:1/3", prefix: other}
slices: 31
audit_rate: 32
mass_loss: {fraction: 0.33, minimum_deas: 34, hold: 35}
mass_delete: {fraction: 0.36, minimum_droplets: 37, hold: 38}
probe_crashed_apps: true
dashboard: {links: {app: "https://x.example/a/{guid}", dea: "https://x.example/d/{guid}", grafana: "https://g.example/"}}
webhooks: [{url: "https://hooks.example.com/", events: [given_up]}]
dry_run: true
`;

  it('is read from the file', () => {
    expect(settingsOf(ALL_KEYS)).toEqual({
      mbus: { servers: ['a:1', 'b:2'], tls: true, user: 'us@er', password: 'p:w' },
      mbusGiven: true,
      ccPartition: 'other',
      bulkApi: { host: 'https://cc.example.com', batchSize: 11, timeoutMs: 12_000, maxApps: 13 },
      dialect: 'hm9000-http',
      internalApi: { url: 'https://internal.example.com', user: 'internal', password: 'hidden' },
      redis: { kind: 'single', url: 'redis://r:1/3' },
      redisPrefix: 'other',
      slices: 31,
      policy: {
        dropletLostMs: 17_000,
        desiredStateLostMs: 15_000,
        flappingDeath: 19,
        flappingTimeoutMs: 20_000,
        minRestartDelayMs: 21_000,
        maxRestartDelayMs: 22_000,
        delayTimeNoiseMs: 23_000,
        giveupCrashNumber: 24,
        probeCrashedApps: true,
        dropletsAnalysisMs: 18_000,
        dropletGcMs: 27_000,
        dropletGcGraceMs: 28_000,
        massLoss: { fraction: 0.33, minimumDeas: 34, holdMs: 35_000 },
        massDelete: { fraction: 0.36, minimumDroplets: 37, holdMs: 38_000 },
      },
      syncPeriodMs: 14_000,
      postponeUpdateMs: 16_000,
      bulkCredentialsTimeoutMs: 29_000,
      startsPerPeriod: 26,
      startsPeriodMs: 25_000,
      auditRate: 32,
      status: {
        host: '0.0.0.0',
        port: 13,
        user: 'watcher',
        password: 'secret',
        loginGiven: true,
        readonly: { user: 'reader', password: 'open' },
        userHeader: 'x-user',
        queuesWritable: true,
      },
      links: {
        ...{ app: 'https://x.example/a/{guid}', dea: 'https://x.example/d/{guid}' },
        grafana: 'https://g.example/',
      },
      webhooks: [{ url: 'https://hooks.example.com/', events: ['given_up'] }],
      index: 12,
      localRoute: '10.0.0.1',
      pidFile: 'hm.pid',
      dryRun: true,
      logging: { level: 'trace', file: 'hm.log' },
    });
  });

  it.each(['javascript:alert(1)', 'https://x.example/{app}', 'x.example/{guid}'])(
    'a link must be a URL with {guid} or nothing in braces: %s',
    (link) => {
      expect(problemsOf(`dashboard: {links: {app: "${link}"}}`)).toEqual([
        expect.stringContaining('dashboard.links.app: expected an http:// or https:// URL, with {guid}'),
      ]);
    },
  );

  it('is in the file of this test, also a new key', () => {
    const known = new Set(
      Object.keys(OPTIONS).filter((key) => !('unused' in OPTIONS[key as keyof typeof OPTIONS])),
    );
    const pathsOf = (section: object, before = ''): string[] =>
      Object.entries(section).flatMap(([name, value]) =>
        typeof value === 'object' && value !== null && !Array.isArray(value)
          ? pathsOf(value, `${before}${name}.`)
          : [before + name],
      );
    const given = new Set(pathsOf(parse(ALL_KEYS) as object));
    // Only one kind of Redis can be configured. The others, and keys with a file name, have tests of their own.
    const elsewhere = /^nats\.creds$|nkey_seed_file$|^heartbeat_api\.|\.tls\.|^redis\.(cluster|sentinel)\b/;
    for (const key of [...known]) if (elsewhere.test(key)) known.delete(key);
    expect(given).toEqual(known);
  });

  it.each(Object.keys(OPTIONS).filter((key) => 'unused' in OPTIONS[key as keyof typeof OPTIONS]))(
    'without a meaning any more has no effect: %s',
    (key) => {
      const yaml = key.split('.').reduceRight((inner, part) => `{${part}: ${inner}}`, '77');
      const without = settingsOf('status: {user: u, password: p}');
      expect(settingsOf(`${yaml.slice(1, -1)}\nstatus: {user: u, password: p}`)).toEqual(without);
    },
  );
});

it('the dialect hm9000-http needs the internal API of the controller', () => {
  expect(problemsOf('dialect: hm9000-http\ninternal_api: {user: u}')).toEqual([
    'health_manager.yml: cc_internal_url: expected an http:// or https:// URL with dialect hm9000-http, got none',
    'health_manager.yml: internal_api.password: expected a text with dialect hm9000-http, got none',
  ]);
});

describe('warnings', () => {
  it.each([
    ['intervals: {droplet_lots: 5}', 'intervals.droplet_lots', 'intervals.droplet_lost'],
    ['droplet_lost: 5', 'droplet_lost', 'intervals.droplet_lost'],
    ['mbuss: nats://h', 'mbuss', 'mbus'],
    ['redis: {uri: "redis://h"}', 'redis.uri', 'redis.url'],
    ['mass_lost: {fraction: 1}', 'mass_lost', 'mass_loss'],
    ['dryrun: true', 'dryrun', 'dry_run'],
    ['__proto__: {a: 1}', '__proto__', expect.any(String)],
  ])('name the nearest known key of an unknown one: %s', (yaml, unknown, near) => {
    const [warning, ...more] = warningsOf(yaml);
    expect(more).toEqual([]);
    const match = /^health_manager\.yml: (\S+): unknown key, ignored; the nearest known one is (\S+)$/.exec(
      warning ?? '',
    );
    expect(match?.[1]).toBe(unknown);
    expect(match?.[2]).toEqual(near);
  });

  it('are given for different logins in one NATS cluster', () => {
    expect(warningsOf('mbus: [nats://a:b@h, nats://a:c@i]')).toEqual([
      expect.stringMatching(/^health_manager\.yml: mbus: the URLs have different logins/),
    ]);
    expect(warningsOf('mbus: [nats://a:b@h, nats://a:b@i]')).toEqual([]);
  });
});

describe('the file', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'hm-config-'));
    mkdirSync(path.join(dir, 'etc'));
    mkdirSync(path.join(dir, 'cwd'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const write = (name: string, yaml: string) => writeFileSync(path.join(dir, name), yaml);
  const load = (file?: string, env: Record<string, string> = {}) =>
    loadConfig({ file, env, cwd: path.join(dir, 'cwd') });
  const linesOf = (file?: string, env: Record<string, string> = {}) => {
    try {
      load(file, env);
    } catch (error) {
      return (error as ConfigError).lines;
    }
    return [];
  };

  it('is read from the working directory', () => {
    write('cwd/health_manager.yml', 'slices: 3');
    expect(load().settings.slices).toBe(3);
  });

  it('is read from CLOUD_FOUNDRY_CONFIG_PATH first', () => {
    write('cwd/health_manager.yml', 'slices: 3');
    write('etc/health_manager.yml', 'slices: 4');
    const env = { CLOUD_FOUNDRY_CONFIG_PATH: path.join(dir, 'etc') };
    expect(load(undefined, env).settings.slices).toBe(4);
    expect(load('health_manager.yml', env).settings.slices).toBe(3);
  });

  it('is named by its base name in problems with its keys', () => {
    write('etc/other.yml', 'slices: no');
    expect(linesOf('../etc/other.yml')).toEqual([
      'other.yml: slices: expected a whole number from 1 to 65536, got false',
    ]);
  });

  it('must exist', () => {
    expect(linesOf('nowhere.yml')).toEqual([`${path.join(dir, 'cwd/nowhere.yml')}: no such file`]);
    expect(linesOf()).toEqual([`${path.join(dir, 'cwd/health_manager.yml')}: no such file`]);
  });

  it('must not be a directory', () => {
    expect(linesOf('../etc')).toEqual([`${path.join(dir, 'etc')}: cannot be read (EISDIR)`]);
  });

  it.each([
    ['a: {b', /bad\.yml: is not valid YAML: line 1, column \d+: /],
    ['just words', /bad\.yml: is not a YAML mapping of keys to values$/],
    ['- a\n- b', /bad\.yml: is not a YAML mapping of keys to values$/],
    ['a: *nowhere', /bad\.yml: is not valid YAML: an alias has no anchor/],
    ['pid: &a [*a]', /bad\.yml: is not valid YAML: an alias refers to a value that contains it$/],
    [
      'redis: {cluster: &a [*a]}',
      /bad\.yml: is not valid YAML: an alias refers to a value that contains it$/,
    ],
  ])('must be YAML: %s', (yaml, expected) => {
    write('cwd/bad.yml', yaml);
    expect(linesOf('bad.yml')).toEqual([expect.stringMatching(expected)]);
  });
});
