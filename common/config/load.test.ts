import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ConfigError, loadConfig, parseConfig } from './load.ts';
import { OPTIONS } from './options.ts';
import { defaultSettings, type Settings } from './settings.ts';

const FILE = '/etc/hm/health_manager.yml';

function settingsOf(yaml: string, env: Record<string, string> = {}): Settings {
  return parseConfig(yaml, FILE, env).settings;
}

function warningsOf(yaml: string): string[] {
  return parseConfig(yaml, FILE, {}).warnings;
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

describe('defaults', () => {
  it('are those of the contract', () => {
    const { status, ...settings } = settingsOf('');
    expect(settings).toEqual({
      mbus: { servers: ['127.0.0.1:4222'], tls: false },
      mbusGiven: false,
      ccPartition: 'default',
      bulkApi: { host: 'http://api.vcap.me', batchSize: 500 },
      redisPrefix: 'hm',
      slices: 256,
      policy: {
        dropletLostMs: 30_000,
        desiredStateLostMs: 180_000,
        flappingDeath: 1,
        flappingTimeoutMs: 500_000,
        minRestartDelayMs: 60_000,
        maxRestartDelayMs: 480_000,
        delayTimeNoiseMs: 5_000,
        giveupCrashNumber: 4,
        dropletsAnalysisMs: 20_000,
        dropletGcMs: 300_000,
        dropletGcGraceMs: 240_000,
        massLoss: { fraction: 0.55, minimumDeas: 3, holdMs: 300_000 },
        massDelete: { fraction: 0.5, minimumDroplets: 10, holdMs: 3_600_000 },
      },
      syncPeriodMs: 60_000,
      postponeUpdateMs: 30_000,
      bulkCredentialsTimeoutMs: 5_000,
      startsPerPeriod: 40,
      startsPeriodMs: 1_000,
      auditRate: 2_000,
      index: 0,
      dryRun: false,
      logging: { level: 'info' },
    });
    expect(status).toMatchObject({ host: '127.0.0.1', port: 54_321 });
  });

  it('have another random login each time', () => {
    const [a, b] = [defaultSettings().status, defaultSettings().status];
    expect(a.password).toMatch(/^[0-9a-f]{32}$/);
    expect(a.user).not.toBe(b.user);
    expect(a.password).not.toBe(b.password);
  });

  it('all have a reason and a meaning', () => {
    for (const key of Object.values(OPTIONS)) expect([key.why, key.meaning]).not.toContain('');
  });
});

/** As it came with HM 2.0, comments left out. */
const HM2 = `---
mbus: nats://nats:secret@192.168.24.128:4222/
logging:
  level: warn
pid: /var/vcap/sys/run/healthmanager2.pid
bulk_api:
  host: http://api.appcloud27.dev.example.com
queue_batch_size: 10
intervals:
  database_scan:        60
  droplet_lost:         30
  droplets_analysis:    20
  flapping_death:        1
  flapping_timeout:    500
  restart_timeout:      20
  stable_state:         60
  min_restart_delay:    60
  max_restart_delay:   480
dequeueing_rate: 50
status:
  port: 54321
  user: thin
  password: thin
`;

describe("HM 2.0's own file", () => {
  it('loads', () => {
    const settings = settingsOf(HM2);
    expect(settings).toMatchObject({
      mbus: { servers: ['192.168.24.128:4222'], user: 'nats', password: 'secret', tls: false },
      mbusGiven: true,
      pidFile: '/var/vcap/sys/run/healthmanager2.pid',
      logging: { level: 'warn' },
      bulkApi: { host: 'http://api.appcloud27.dev.example.com', batchSize: 500 },
      status: { user: 'thin', password: 'thin', port: 54_321, host: '127.0.0.1' },
      // HM 2.0 looked for it among the intervals only.
      startsPerPeriod: 40,
    });
  });

  it('is warned about what has no effect, by name', () => {
    expect(warningsOf(HM2)).toEqual([
      'health_manager.yml: queue_batch_size: unknown key, ignored; the nearest known one is intervals.queue_batch_size',
      expect.stringMatching(/^health_manager\.yml: intervals\.database_scan: no longer needed/),
      expect.stringMatching(/^health_manager\.yml: intervals\.restart_timeout: no longer needed/),
      expect.stringMatching(/^health_manager\.yml: intervals\.stable_state: no longer needed/),
      expect.stringMatching(/^health_manager\.yml: dequeueing_rate: no longer needed/),
    ]);
  });

  it.each(['analysis_delay', 'run_loop_interval', 'check_nats_availability'])(
    'may have intervals.%s',
    (name) => {
      expect(warningsOf(`intervals: {${name}: 5}`)).toEqual([]);
    },
  );

  it.each([
    [
      'number_of_droplets_analyzed_per_analysis_iteration: 200',
      /: number_of_droplets_\w+_iteration: no longer/,
    ],
    ['logging: {syslog: vcap.hm}', /: logging\.syslog: no longer/],
    ['shadow_mode: enable', /: shadow_mode: no longer/],
  ])('is warned about what is no longer needed: %s', (yaml, warning) => {
    expect(warningsOf(yaml)).toEqual([expect.stringMatching(warning)]);
  });
});

describe('each key', () => {
  /** Every key that means something, each with another value than its default. */
  const OTHERS = `
mbus: [nats://a:1, tls://us%40er:p%3Aw@b:2]
cc_partition: other
bulk_api: {host: https://cc.example.com, batch_size: 11}
logging: {level: all, file: hm.log}
pid: hm.pid
index: 12
local_route: 10.0.0.1
status: {host: 0.0.0.0, port: 13, user: watcher, password: secret, queues_writable: true}
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
dry_run: true
`;

  it('is read from the file', () => {
    expect(settingsOf(OTHERS)).toEqual({
      mbus: { servers: ['a:1', 'b:2'], tls: true, user: 'us@er', password: 'p:w' },
      mbusGiven: true,
      ccPartition: 'other',
      bulkApi: { host: 'https://cc.example.com', batchSize: 11 },
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
      status: { host: '0.0.0.0', port: 13, user: 'watcher', password: 'secret', queuesWritable: true },
      index: 12,
      localRoute: '10.0.0.1',
      pidFile: 'hm.pid',
      dryRun: true,
      logging: { level: 'trace', file: 'hm.log' },
    });
  });

  it('of one that is new is in there, too', () => {
    const known = new Set(
      Object.keys(OPTIONS).filter((key) => !('unused' in OPTIONS[key as keyof typeof OPTIONS])),
    );
    const given = new Set(
      Object.entries(parse(OTHERS) as Record<string, unknown>).flatMap(([name, value]) =>
        typeof value === 'object' && value !== null && !Array.isArray(value)
          ? Object.keys(value).map((inner) => `${name}.${inner}`)
          : [name],
      ),
    );
    // Only one kind of Redis can be given; the others, and what names a file, have tests of their own.
    const elsewhere = ['nats.creds', 'nats.nkey_seed_file'];
    for (const kind of [...elsewhere, 'redis.cluster', 'redis.sentinel.name', 'redis.sentinel.nodes'])
      known.delete(kind);
    expect(given).toEqual(known);
  });

  it.each(Object.keys(OPTIONS).filter((key) => 'unused' in OPTIONS[key as keyof typeof OPTIONS]))(
    'that means nothing any more has no effect: %s',
    (key) => {
      const yaml = key.split('.').reduceRight((inner, part) => `{${part}: ${inner}}`, '77');
      const ofNone = settingsOf('status: {user: u, password: p}');
      expect(settingsOf(`${yaml.slice(1, -1)}\nstatus: {user: u, password: p}`)).toEqual(ofNone);
    },
  );
});

describe('values', () => {
  it.each<[string, string, (s: Settings) => unknown, unknown]>([
    ['a fraction of a second', 'intervals: {droplet_lost: 0.5}', (s) => s.policy.dropletLostMs, 500],
    ['a number in quotes', 'intervals: {droplet_lost: "45"}', (s) => s.policy.dropletLostMs, 45_000],
    ['a whole number in quotes', 'intervals: {queue_batch_size: "7"}', (s) => s.startsPerPeriod, 7],
    ['no noise', 'intervals: {delay_time_noise: 0}', (s) => s.policy.delayTimeNoiseMs, 0],
    ['never give up', 'intervals: {giveup_crash_number: -1}', (s) => s.policy.giveupCrashNumber, -1],
    [
      'more than a timer can',
      'intervals: {desired_state_lost: 1e9}',
      (s) => s.policy.desiredStateLostMs,
      2_147_483_000,
    ],
    ['less than a timer can', 'intervals: {request_queue: 1e-9}', (s) => s.startsPeriodMs, 1],
    ['a key without a value', 'intervals: {droplet_lost: }', (s) => s.policy.dropletLostMs, 30_000],
    ['a section without a value', 'intervals:', (s) => s.policy.dropletLostMs, 30_000],
    [
      'a bulk host without a scheme',
      'bulk_api: {host: api.example.com}',
      (s) => s.bulkApi.host,
      'http://api.example.com',
    ],
    ['a bulk host with a slash', 'bulk_api: {host: "https://a.b/"}', (s) => s.bulkApi.host, 'https://a.b'],
    [
      'a bulk host with a port',
      'bulk_api: {host: "localhost:8181"}',
      (s) => s.bulkApi.host,
      'http://localhost:8181',
    ],
    ['a password of digits', 'status: {password: 0123}', (s) => s.status.password, '0123'],
    ['a password like a truth value', 'status: {password: no}', (s) => s.status.password, 'no'],
    ['a Steno level', 'logging: {level: debug2}', (s) => s.logging.level, 'trace'],
    ['another Steno level', 'logging: {level: debug1}', (s) => s.logging.level, 'debug'],
    ['all', 'logging: {level: all}', (s) => s.logging.level, 'trace'],
    ['off', 'logging: {level: off}', (s) => s.logging.level, 'silent'],
    ['off in quotes', 'logging: {level: "off"}', (s) => s.logging.level, 'silent'],
    ['a level in capitals', 'logging: {level: WARN}', (s) => s.logging.level, 'warn'],
    ['a log file', 'logging: {file: /tmp/x.log}', (s) => s.logging.file, '/tmp/x.log'],
    ['dry_run', 'dry_run: true', (s) => s.dryRun, true],
    ['the largest number of slices', 'slices: 65536', (s) => s.slices, 65_536],
    ['the audit rate', 'audit_rate: 100.5', (s) => s.auditRate, 100.5],
    [
      'mass_loss',
      'mass_loss: {fraction: 1, minimum_deas: 5, hold: 60}',
      (s) => s.policy.massLoss,
      { fraction: 1, minimumDeas: 5, holdMs: 60_000 },
    ],
    [
      'mass_delete',
      'mass_delete: {fraction: 0.9}',
      (s) => s.policy.massDelete,
      { fraction: 0.9, minimumDroplets: 10, holdMs: 3_600_000 },
    ],
    [
      'a NATS token',
      'mbus: nats://s3cr3t@h',
      (s) => s.mbus,
      { servers: ['h:4222'], token: 's3cr3t', tls: false },
    ],
    ['NATS with TLS', 'mbus: tls://h:1', (s) => s.mbus, { servers: ['h:1'], tls: true }],
    ['NATS without a scheme', 'mbus: h:1', (s) => s.mbus, { servers: ['h:1'], tls: false }],
    ['NATS at IPv6', 'mbus: "nats://[::1]:5"', (s) => s.mbus, { servers: ['[::1]:5'], tls: false }],
    [
      'a NATS cluster',
      'mbus: [nats://a, nats://b:5]',
      (s) => s.mbus,
      { servers: ['a:4222', 'b:5'], tls: false },
    ],
    [
      'an encoded password',
      'mbus: nats://u:p%40%2F@h',
      (s) => s.mbus,
      { servers: ['h:4222'], user: 'u', password: 'p@/', tls: false },
    ],
    [
      'a password that should be encoded',
      'mbus: nats://u:p@%z@h',
      (s) => s.mbus,
      { servers: ['h:4222'], user: 'u', password: 'p@%z', tls: false },
    ],
    ['no Redis', '', (s) => s.redis, undefined],
    [
      'one Redis',
      'redis: {url: "rediss://u:p@h:1/2"}',
      (s) => s.redis,
      { kind: 'single', url: 'rediss://u:p@h:1/2' },
    ],
    [
      'a Redis Cluster',
      'redis: {cluster: ["redis://a", "redis://b"]}',
      (s) => s.redis,
      { kind: 'cluster', nodes: ['redis://a', 'redis://b'] },
    ],
    [
      'sentinels',
      'redis: {sentinel: {name: m, nodes: [a:1, "redis://b"]}}',
      (s) => s.redis,
      { kind: 'sentinel', name: 'm', nodes: ['redis://a:1', 'redis://b'] },
    ],
    ['an anchor', 'x: &s {droplet_lost: 7}\nintervals: *s', (s) => s.policy.dropletLostMs, 7_000],
  ])('%s', (_, yaml, get, expected) => {
    expect(get(settingsOf(yaml))).toEqual(expected);
  });
});

describe('problems', () => {
  const line = (text: string) => `health_manager.yml: ${text}`;

  it.each<[string, string]>([
    [
      'intervals: {droplet_lost: soon}',
      'intervals.droplet_lost: expected a number of seconds > 0, got "soon"',
    ],
    ['intervals: {droplet_lost: 0}', 'intervals.droplet_lost: expected a number of seconds > 0, got 0'],
    ['intervals: {droplet_lost: -3}', 'intervals.droplet_lost: expected a number of seconds > 0, got -3'],
    ['intervals: {droplet_lost: ""}', 'intervals.droplet_lost: expected a number of seconds > 0, got ""'],
    [
      'intervals: {droplet_lost: .inf}',
      'intervals.droplet_lost: expected a number of seconds > 0, got Infinity',
    ],
    ['intervals: {droplet_lost: [1]}', 'intervals.droplet_lost: expected a number of seconds > 0, got [1]'],
    [
      'intervals: {droplet_lost: {a: 1}}',
      'intervals.droplet_lost: expected a number of seconds > 0, got {"a":1}',
    ],
    ['intervals: {droplet_lost: true}', 'intervals.droplet_lost: expected a number of seconds > 0, got true'],
    [
      'intervals: {delay_time_noise: -1}',
      'intervals.delay_time_noise: expected a number of seconds >= 0, got -1',
    ],
    ['intervals: {flapping_death: 1.5}', 'intervals.flapping_death: expected a whole number >= 0, got 1.5'],
    [
      'intervals: {giveup_crash_number: 0.5}',
      'intervals.giveup_crash_number: expected a whole number, got 0.5',
    ],
    ['intervals: {queue_batch_size: 0}', 'intervals.queue_batch_size: expected a whole number >= 1, got 0'],
    ['intervals: 5', 'intervals: expected a mapping of keys to values, got 5'],
    ['slices: 0', 'slices: expected a whole number from 1 to 65536, got 0'],
    ['slices: 65537', 'slices: expected a whole number from 1 to 65536, got 65537'],
    ['audit_rate: 0', 'audit_rate: expected a number > 0, got 0'],
    ['mass_loss: {fraction: 0}', 'mass_loss.fraction: expected a fraction > 0 and <= 1, got 0'],
    ['mass_delete: {fraction: 1.1}', 'mass_delete.fraction: expected a fraction > 0 and <= 1, got 1.1'],
    ['mass_delete: {hold: never}', 'mass_delete.hold: expected a number of seconds > 0, got "never"'],
    ['mass_loss: {minimum_deas: 0}', 'mass_loss.minimum_deas: expected a whole number >= 1, got 0'],
    ['dry_run: maybe', 'dry_run: expected true or false, got "maybe"'],
    ['status: {port: 65536}', 'status.port: expected a whole number from 0 to 65535, got 65536'],
    ['bulk_api: {batch_size: many}', 'bulk_api.batch_size: expected a whole number >= 1, got "many"'],
    ['bulk_api: {host: "ftp://h"}', 'bulk_api.host: expected an http:// or https:// URL, got "ftp://h"'],
    ['redis: {prefix: "a{b"}', 'redis.prefix: expected a text without braces and white space, got "a{b"'],
    ['redis: {prefix: "a b"}', 'redis.prefix: expected a text without braces and white space, got "a b"'],
    [
      'redis: {sentinel: {name: m}}',
      'redis.sentinel.nodes: expected a list of host:port or redis:// URLs, got none',
    ],
    [
      'redis: {url: "redis://a", cluster: ["redis://b"]}',
      'redis: expected one of url, cluster and sentinel, got url and cluster',
    ],
    ['cc_partition: []', 'cc_partition: expected a text, got []'],
  ])('%s', (yaml, text) => {
    expect(problemsOf(yaml)).toEqual([line(text)]);
  });

  it('names the levels there are', () => {
    expect(problemsOf('logging: {level: loud}')).toEqual([
      line(
        'logging.level: expected one of trace, debug, info, warn, error, fatal, silent, all, debug2, debug1, off, got "loud"',
      ),
    ]);
  });

  it('are all said at once', () => {
    const yaml = 'slices: x\nintervals: {droplet_lost: 0, request_queue: x}\nmass_loss: 1';
    expect(problemsOf(yaml).map((text) => text.split(': ')[1])).toEqual([
      'slices',
      'intervals.droplet_lost',
      'intervals.request_queue',
      'mass_loss',
    ]);
  });

  it.each([
    'mbus: nats://user:hunter2@host:99999',
    'mbus: http://u:hunter2@host',
    'mbus: [nats://ok, 5, "nats://u:hunter2@x y"]',
    'redis: {url: "http://u:hunter2@host/?auth=hunter2"}',
    'redis: {url: hunter2}',
    'redis: {url: "redis://:hunter2"}',
    'redis: {url: "redis://h/hunter2"}',
    'redis: {cluster: ["redis://:hunter2@h", "nope://:hunter2@h"]}',
    'redis: hunter2',
    'redis: {sentinel: {name: m, nodes: ["http://:hunter2@h"]}}',
    'status: {password: [hunter2]}',
    'status: {password: {hunter2: 1}}',
    'status: {user: [hunter2]}',
    'status: hunter2',
    'bulk_api: {host: "ftp://u:hunter2@h"}',
    'mbus: "nats://u:hunter2@h\n  x: y\n z',
    'a: {b: hunter2, b: hunter2}',
    '!!hunter2 x: &hunter2 [*hunter3]',
  ])('show no secret: %s', (yaml) => {
    const problems = problemsOf(yaml);
    expect(problems).not.toEqual([]);
    expect(problems.join()).not.toContain('hunter2');
  });

  it('show what of a URL is no secret', () => {
    expect(problemsOf('redis: {url: "http://u:hunter2@h:1/0"}')).toEqual([
      line('redis.url: expected a redis:// or rediss:// URL, got "http://***@h:1"'),
    ]);
  });
});

describe('unknown keys', () => {
  it.each([
    ['intervals: {droplet_lots: 5}', 'intervals.droplet_lots', 'intervals.droplet_lost'],
    ['droplet_lost: 5', 'droplet_lost', 'intervals.droplet_lost'],
    ['mbuss: nats://h', 'mbuss', 'mbus'],
    ['redis: {uri: "redis://h"}', 'redis.uri', 'redis.url'],
    ['mass_lost: {fraction: 1}', 'mass_lost', 'mass_loss'],
    ['dryrun: true', 'dryrun', 'dry_run'],
    ['__proto__: {a: 1}', '__proto__', expect.any(String)],
  ])('%s', (yaml, unknown, near) => {
    const [warning, ...more] = warningsOf(yaml);
    expect(more).toEqual([]);
    const match = /^health_manager\.yml: (\S+): unknown key, ignored; the nearest known one is (\S+)$/.exec(
      warning ?? '',
    );
    expect(match?.[1]).toBe(unknown);
    expect(match?.[2]).toEqual(near);
  });

  it('warns of different logins of one NATS cluster', () => {
    expect(warningsOf('mbus: [nats://a:b@h, nats://a:c@i]')).toEqual([
      expect.stringMatching(/^health_manager\.yml: mbus: the URLs have different logins/),
    ]);
    expect(warningsOf('mbus: [nats://a:b@h, nats://a:b@i]')).toEqual([]);
  });
});

describe('environment', () => {
  it('wins over the file', () => {
    const env = { MBUS_URI: 'nats://e:5', REDIS_URL: 'redis://e', LOG_LEVEL: 'debug1' };
    const settings = settingsOf('mbus: nats://f\nredis: {url: "redis://f"}\nlogging: {level: error}', env);
    expect(settings.mbus.servers).toEqual(['e:5']);
    expect(settings.redis).toEqual({ kind: 'single', url: 'redis://e' });
    expect(settings.logging.level).toBe('debug');
  });

  it('wins over another kind of Redis', () => {
    const yaml = 'redis: {cluster: ["redis://f"], sentinel: {name: m, nodes: [x:1]}}';
    expect(settingsOf(yaml, { REDIS_URL: 'redis://e' }).redis).toEqual({ kind: 'single', url: 'redis://e' });
  });

  it('wins over a wrong value', () => {
    expect(settingsOf('mbus: 5', { MBUS_URI: 'nats://e' }).mbus.servers).toEqual(['e:4222']);
  });

  it('may give several NATS servers', () => {
    expect(settingsOf('', { MBUS_URI: 'nats://a,nats://b' })).toMatchObject({
      mbus: { servers: ['a:4222', 'b:4222'] },
      mbusGiven: true,
    });
  });

  it('counts as not set when it is empty', () => {
    expect(settingsOf('', { MBUS_URI: '' }).mbusGiven).toBe(false);
  });

  it('is named where it is wrong', () => {
    expect(problemsOf('', { REDIS_URL: 'http://u:hunter2@h', LOG_LEVEL: 'x' })).toEqual([
      expect.stringMatching(/^environment: LOG_LEVEL: expected one of .*, got "x"$/),
      'environment: REDIS_URL: expected a redis:// or rediss:// URL, got "http://***@h"',
    ]);
  });
});

describe('files', () => {
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

  it('are looked for in the working directory', () => {
    write('cwd/health_manager.yml', 'slices: 3');
    expect(load().settings.slices).toBe(3);
  });

  it('are looked for in CLOUD_FOUNDRY_CONFIG_PATH first', () => {
    write('cwd/health_manager.yml', 'slices: 3');
    write('etc/health_manager.yml', 'slices: 4');
    const env = { CLOUD_FOUNDRY_CONFIG_PATH: path.join(dir, 'etc') };
    expect(load(undefined, env).settings.slices).toBe(4);
    expect(load('health_manager.yml', env).settings.slices).toBe(3);
  });

  it('are named by their base name in problems of keys', () => {
    write('etc/other.yml', 'slices: no');
    expect(linesOf('../etc/other.yml')).toEqual([
      'other.yml: slices: expected a whole number from 1 to 65536, got false',
    ]);
  });

  it('must be there', () => {
    expect(linesOf('nowhere.yml')).toEqual([`${path.join(dir, 'cwd/nowhere.yml')}: no such file`]);
    expect(linesOf()).toEqual([`${path.join(dir, 'cwd/health_manager.yml')}: no such file`]);
  });

  it('must be files', () => {
    expect(linesOf('../etc')).toEqual([`${path.join(dir, 'etc')}: cannot be read (EISDIR)`]);
  });

  it.each([
    ['a: {b', /bad\.yml: is no YAML: line 1, column \d+: /],
    ['just words', /bad\.yml: is no YAML mapping of keys to values$/],
    ['- a\n- b', /bad\.yml: is no YAML mapping of keys to values$/],
    ['a: *nowhere', /bad\.yml: is no YAML/],
    ['pid: &a [*a]', /bad\.yml: is no YAML: an alias stands for what it is in$/],
    ['redis: {cluster: &a [*a]}', /bad\.yml: is no YAML: an alias stands for what it is in$/],
  ])('must be YAML: %s', (yaml, expected) => {
    write('cwd/bad.yml', yaml);
    expect(linesOf('bad.yml')).toEqual([expect.stringMatching(expected)]);
  });
});
