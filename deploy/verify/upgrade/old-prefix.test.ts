/** operate.md, "Upgrade": a release with another layout gets another prefix, and what the old one leaves is deleted. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { createKeys, type Keys } from '../../../common/redis/keys.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { startTestRedis } from '../../../common/testing/redis/server.ts';

/** A key of each kind. */
function allKeys(prefix: string): string[] {
  const keys: Keys = createKeys(prefix, 4);
  const of = Object.values(keys).flatMap((key: Keys[keyof Keys]) => {
    if (typeof key === 'string' || Array.isArray(key)) return key;
    return [];
  });
  // An id may have any characters but a line break.
  return [...of, keys.droplet("it's a {droplet}"), keys.index(3, 1), `${keys.queuePrefix}:starts:id`];
}

test('the command of operate.md deletes all of the old prefix, and nothing else', async () => {
  const redis = await startTestRedis();
  onTestFinished(() => redis.stop());
  const client = new Redis(redis.url);
  onTestFinished(async () => void (await client.quit()));
  const kept = [...allKeys('hm2'), ...allKeys('myhm'), 'hm', 'hm:settings-of-somebody'];
  for (const key of [...allKeys('hm'), ...kept]) await client.set(key, '1');

  const page = readFileSync(join(packageRoot, 'deploy', 'docs', 'operate.md'), 'utf8');
  const [, command = ''] = /^(?:```sh\n)(redis-cli --scan .*)$/m.exec(page) ?? [];
  const dir = mkdtempSync(join(tmpdir(), 'hm-old-prefix-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const program = execFileSync('sh', ['-c', 'command -v redis-cli'], { encoding: 'utf8' }).trim();
  const { port } = new URL(redis.url);
  writeFileSync(join(dir, 'redis-cli'), `#!/bin/sh\nexec ${program} -p ${port} "$@"\n`, { mode: 0o755 });
  execFileSync('sh', ['-c', command], { env: { PATH: `${dir}:${process.env.PATH}` } });
  expect((await client.keys('*')).sort()).toEqual([...new Set(kept)].sort());
});
