import { expect, test } from 'vitest';
import { ConfigError, parseConfig } from '../load.ts';

test.each([
  ['status: { user: a, password: change-me }', 'status.password', ' (here or in STATUS_PASSWORD)'],
  ['status: { readonly_user: a, readonly_password: change-me }', 'status.readonly_password', ''],
  ['mbus: ["nats://a:1", "nats://hm:change-me@b:1"]', 'mbus', ' (here or in MBUS_URI)'],
  ['redis: { url: "redis://:change-me@b:1" }', 'redis.url', ' (here or in REDIS_URL)'],
  ['redis: { cluster: ["redis://hm:change-me@b:1"] }', 'redis.cluster', ''],
])('the password of the example files is refused: %s', (yaml, path, where) => {
  expect(() => parseConfig(yaml, 'file.yml', {})).toThrow(
    new ConfigError([
      `file.yml: ${path}: expected a password of your own${where}, got that of the example files`,
    ]),
  );
  expect(() => parseConfig(yaml.replace('change-me', 'changed'), 'file.yml', {})).not.toThrow();
});
