import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from '../load.ts';
import type { Settings } from '../settings.ts';

const FILE = '/etc/hm/health_manager.yml';

function settingsOf(yaml: string): Settings {
  return parseConfig(yaml, FILE, {}).settings;
}

function problemsOf(yaml: string): readonly string[] {
  try {
    parseConfig(yaml, FILE, {});
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  return [];
}

describe('a value', () => {
  it.each<[string, string, (s: Settings) => unknown, unknown]>([
    ['a fraction of a second', 'intervals: {droplet_lost: 0.5}', (s) => s.policy.dropletLostMs, 500],
    ['a number in quotes', 'intervals: {droplet_lost: "45"}', (s) => s.policy.dropletLostMs, 45_000],
    ['a whole number in quotes', 'intervals: {queue_batch_size: "7"}', (s) => s.startsPerPeriod, 7],
    ['no noise', 'intervals: {delay_time_noise: 0}', (s) => s.policy.delayTimeNoiseMs, 0],
    ['never give up', 'intervals: {giveup_crash_number: -1}', (s) => s.policy.giveupCrashNumber, -1],
    [
      'longer than a timer allows',
      'intervals: {desired_state_lost: 1e9}',
      (s) => s.policy.desiredStateLostMs,
      2_147_483_000,
    ],
    ['shorter than a timer allows', 'intervals: {request_queue: 1e-9}', (s) => s.startsPeriodMs, 1],
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
    ['a password that YAML parses as a boolean', 'status: {password: no}', (s) => s.status.password, 'no'],
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
      'a percent-encoded password',
      'mbus: nats://u:p%40%2F@h',
      (s) => s.mbus,
      { servers: ['h:4222'], user: 'u', password: 'p@/', tls: false },
    ],
    [
      'a password that is not percent-encoded',
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
      'IPv6 sentinels',
      'redis: {sentinel: {name: m, nodes: ["[::1]:26379", "[fe80::2]"]}}',
      (s) => s.redis,
      { kind: 'sentinel', name: 'm', nodes: ['redis://[::1]:26379', 'redis://[fe80::2]'] },
    ],
    [
      'a percent sign in a password that is not encoded',
      'redis: {url: "redis://:50%off@h"}',
      (s) => s.redis,
      { kind: 'single', url: 'redis://:50%25off@h' },
    ],
    [
      'an encoded password',
      'redis: {url: "redis://u:a%40b@h"}',
      (s) => s.redis,
      { kind: 'single', url: 'redis://u:a%40b@h' },
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

  it('name the possible levels', () => {
    expect(problemsOf('logging: {level: loud}')).toEqual([
      line(
        'logging.level: expected one of trace, debug, info, warn, error, fatal, silent, all, debug2, debug1, off, got "loud"',
      ),
    ]);
  });

  it('are all reported together', () => {
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

  it('show the scheme, host and port of a secret URL', () => {
    expect(problemsOf('redis: {url: "http://u:hunter2@h:1/0"}')).toEqual([
      line('redis.url: expected a redis:// or rediss:// URL, got "http://***@h:1"'),
    ]);
  });
});
