import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { startNats } from '../../../common/testing/nats/server.ts';
import { startTestSentinels } from '../../../common/testing/redis/sentinel.ts';
import { startStage } from './stage.ts';

test('the sentinels promote the replica when the master is killed', async () => {
  execFileSync(join(packageRoot, 'deploy', 'setup.sh'), { stdio: 'ignore' });
  const [redis, nats] = await Promise.all([startTestSentinels(), startNats()]);
  onTestFinished(() => Promise.all([redis.stop(), nats.stop()]).then(() => undefined));
  const { cloud, waitUntilHealthy, stop, logged } = await startStage(redis.settings, [nats.url]);
  onTestFinished(stop);

  cloud.startLoad();
  await delay(1_000);
  await redis.master.stop();
  await delay(6_000);
  cloud.stopLoad();
  await waitUntilHealthy(30_000);
  expect(cloud.violations).toEqual([]);
  expect(logged('redis_reconnected')).not.toEqual([]);
}, 300_000);
