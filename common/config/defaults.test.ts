import { describe, expect, it } from 'vitest';
import { parseConfig } from './load.ts';
import { OPTIONS } from './options.ts';
import { defaultSettings, type Settings } from './settings.ts';

const FILE = '/etc/hm/health_manager.yml';

function settingsOf(yaml: string, env: Record<string, string> = {}): Settings {
  return parseConfig(yaml, FILE, env).settings;
}

describe('the defaults', () => {
  it('are those of the contract', () => {
    const { status, ...settings } = settingsOf('');
    expect(settings).toEqual({
      mbus: { servers: ['127.0.0.1:4222'], tls: false },
      mbusGiven: false,
      ccPartition: 'default',
      bulkApi: { host: 'http://api.vcap.me', batchSize: 500, timeoutMs: 10_000, maxApps: 5_000_000 },
      dialect: 'hm2',
      webhooks: [],
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
        probeCrashedApps: false,
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

  it('include a random login, different each time', () => {
    const [a, b] = [defaultSettings().status, defaultSettings().status];
    expect(a.password).toMatch(/^[0-9a-f]{32}$/);
    expect(a.user).not.toBe(b.user);
    expect(a.password).not.toBe(b.password);
  });

  it('all have a meaning and a reason', () => {
    for (const key of Object.values(OPTIONS)) expect([key.why, key.meaning]).not.toContain('');
  });
});
