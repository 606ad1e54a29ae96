import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from './load.ts';
import type { Settings } from './settings.ts';

const FILE = '/etc/hm/health_manager.yml';

function settingsOf(yaml: string, env: Record<string, string> = {}): Settings {
  return parseConfig(yaml, FILE, env).settings;
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

describe('the environment', () => {
  it('overrides the file', () => {
    const env = { MBUS_URI: 'nats://e:5', REDIS_URL: 'redis://e', LOG_LEVEL: 'debug1' };
    const settings = settingsOf('mbus: nats://f\nredis: {url: "redis://f"}\nlogging: {level: error}', env);
    expect(settings.mbus.servers).toEqual(['e:5']);
    expect(settings.redis).toEqual({ kind: 'single', url: 'redis://e' });
    expect(settings.logging.level).toBe('debug');
  });

  it('overrides another kind of Redis', () => {
    const yaml = 'redis: {cluster: ["redis://f"], sentinel: {name: m, nodes: [x:1]}}';
    expect(settingsOf(yaml, { REDIS_URL: 'redis://e' }).redis).toEqual({ kind: 'single', url: 'redis://e' });
  });

  it('overrides a wrong value', () => {
    expect(settingsOf('mbus: 5', { MBUS_URI: 'nats://e' }).mbus.servers).toEqual(['e:4222']);
  });

  it('may have several NATS servers', () => {
    expect(settingsOf('', { MBUS_URI: 'nats://a,nats://b' })).toMatchObject({
      mbus: { servers: ['a:4222', 'b:4222'] },
      mbusGiven: true,
    });
  });

  it('counts as unset if it is empty', () => {
    expect(settingsOf('', { MBUS_URI: '' }).mbusGiven).toBe(false);
  });

  it('is named in problems with its values', () => {
    expect(problemsOf('', { REDIS_URL: 'http://u:hunter2@h', LOG_LEVEL: 'x' })).toEqual([
      expect.stringMatching(/^environment: LOG_LEVEL: expected one of .*, got "x"$/),
      'environment: REDIS_URL: expected a redis:// or rediss:// URL, got "http://***@h"',
    ]);
  });
});
