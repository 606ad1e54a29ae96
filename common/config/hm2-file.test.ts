import { describe, expect, it } from 'vitest';
import { parseConfig } from './load.ts';
import type { Settings } from './settings.ts';

const FILE = '/etc/hm/health_manager.yml';

function settingsOf(yaml: string, env: Record<string, string> = {}): Settings {
  return parseConfig(yaml, FILE, env).settings;
}

function warningsOf(yaml: string): string[] {
  return parseConfig(yaml, FILE, { STATUS_USER: 'u', STATUS_PASSWORD: 'p' }).warnings;
}

/** The file that came with HM 2.0, without its comments. */
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
      bulkApi: {
        host: 'http://api.appcloud27.dev.example.com',
        batchSize: 500,
        timeoutMs: 10_000,
        maxApps: 5_000_000,
      },
      status: { user: 'thin', password: 'thin', port: 54_321, host: '127.0.0.1' },
      // HM 2.0 read queue_batch_size only among the intervals.
      startsPerPeriod: 40,
    });
  });

  it('gets a warning for each key without effect', () => {
    expect(warningsOf(HM2)).toEqual([
      'health_manager.yml: queue_batch_size: unknown key, ignored; the nearest known one is intervals.queue_batch_size',
      expect.stringMatching(/^health_manager\.yml: intervals\.database_scan: no longer needed/),
      expect.stringMatching(/^health_manager\.yml: intervals\.restart_timeout: no longer needed/),
      expect.stringMatching(/^health_manager\.yml: intervals\.stable_state: no longer needed/),
      expect.stringMatching(/^health_manager\.yml: dequeueing_rate: no longer needed/),
    ]);
  });

  it.each(['analysis_delay', 'run_loop_interval', 'check_nats_availability'])(
    'may have intervals.%s without a warning',
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
  ])('gets a warning for a key that is no longer needed: %s', (yaml, warning) => {
    expect(warningsOf(yaml)).toEqual([expect.stringMatching(warning)]);
  });
});
