import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RedisSettings } from '../../../common/config/settings.ts';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { metricValue, testContext } from '../../../common/testing/context.ts';
import { startReporter } from '../../../reporter/main.ts';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';
import { ALL_PROCESSES } from './processes.ts';

/** The processes log in as the Redis user of deploy/install/redis-acl.conf. */
let deployment: Deployment;
/** Connections of the default user, one to each server. */
let admins: Redis[];

const rules = () => {
  const conf = readFileSync(path.join(packageRoot, 'deploy', 'install', 'redis-acl.conf'), 'utf8');
  const line = conf.split('\n').find((one) => one.startsWith('user '));
  if (line === undefined) throw new Error('redis-acl.conf has no user');
  return line.split(' ').slice(1);
};

beforeAll(async () => {
  deployment = await startCloud();
  admins = deployment.redis.urls.map((url) => new Redis(url));
  for (const admin of admins) {
    await admin.call('ACL', 'SETUSER', ...rules());
    await admin.call('ACL', 'LOG', 'RESET');
  }
  await deployment.processes.stop();
  deployment.redis = { ...deployment.redis, settings: withLogin(deployment.redis.settings) };
  await deployment.processes.start(...ALL_PROCESSES);
  await deployment.advance(31);
  deployment.takeSentMessages();
});
afterAll(async () => {
  for (const admin of admins) await admin.quit();
  await deployment.stop();
});

/** Requests of the queue pages. */
const BOARD = ['starts', 'restarts', 'stops', 'slices', 'sync', 'cron'].flatMap((queue) => [
  `/queues/api/queues?activeQueue=${queue}&status=latest`,
  `/queues/api/queues/${queue}/no-such-job`,
]);

const withUser = (url: string) => url.replace('//', '//hm:change-me@');

function withLogin(settings: RedisSettings): RedisSettings {
  if (settings.kind === 'single') return { ...settings, url: withUser(settings.url) };
  return { ...settings, nodes: settings.nodes.map(withUser) };
}

/** The commands that Redis refused since the start of the test. */
async function refusals(): Promise<string[]> {
  const logs = (await Promise.all(admins.map((admin) => admin.call('ACL', 'LOG')))) as unknown[][][];
  return logs.flat().map((entry) => JSON.stringify(entry));
}

test('the Redis user may do everything that the health manager does', async () => {
  const guids = await healthyApp(deployment, 'web', 3);
  await endInstance(deployment, guids[0], 'CRASHED');
  expect(deployment.takeSent()).toEqual(['start web/0 (crashed)']);
  deployment.dea('dea-1').run('web', 0, 'web-v1');
  await deployment.heartbeat();
  // Flapping: a start that waits and is then dropped.
  for (const guid of [guids[1], deployment.dea('dea-2').run('web', 1, 'web-v1')]) {
    await deployment.heartbeat();
    await endInstance(deployment, guid, 'CRASHED');
  }
  await deployment.advance(90);
  await deployment.desire('web', { instances: 1 });
  expect(deployment.takeSent().join()).toMatch(/stop .* of web \(extra_index\)/);
  await deployment.deleteApp('web');
  for (const dea of deployment.deas.values()) dea.connected = false;
  await deployment.advance(700);
  await deployment.processes.restart();
  await deployment.advance(31);
  deployment.takeSentMessages();
  deployment.takeViolations(); // the silent DEAs do not matter here
  expect(await refusals()).toEqual([]);
});

test('and everything that the reporter and the operator do', async () => {
  const context = await testContext({
    redis: deployment.redis,
    nats: deployment.nats,
    settings: {
      slices: 4,
      status: { host: '127.0.0.1', port: 0, user: 'a', password: 'b', queuesWritable: true },
    },
  });
  try {
    const { port } = await startReporter(context);
    const headers = { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` };
    for (const url of ['/varz', '/metrics', '/api/fleet', '/api/droplets/web', ...BOARD]) {
      expect([200, 404]).toContain((await fetch(`http://127.0.0.1:${port}${url}`, { headers })).status);
    }
    const bus = await context.connectBus();
    const question = JSON.stringify({ droplets: [{ droplet: 'web', version: 'web-v1' }] });
    bus.connection.publish(SUBJECTS.healthRequest, question, { reply: 'nobody' });
    await expect.poll(() => metricValue(context.metrics, 'hm_queries_total')).toBe(1);
  } finally {
    await context.lifecycle.stop();
  }
  expect(await refusals()).toEqual([]);
});

test.each([
  ['keys of others', (r: Redis) => r.get('others')],
  ['FLUSHALL', (r: Redis) => r.flushall()],
  ['CONFIG', (r: Redis) => r.config('GET', '*')],
  ['KEYS', (r: Redis) => r.keys('*')],
  ['MONITOR', (r: Redis) => r.call('MONITOR')],
  ['SHUTDOWN', (r: Redis) => r.call('SHUTDOWN')],
  ['a script about keys of others', (r: Redis) => r.eval("return redis.call('GET', 'others')", 0)],
])('but not %s', async (_, command) => {
  const user = new Redis(withUser(deployment.redis.urls[0] as string));
  try {
    await expect(command(user)).rejects.toThrow(/NOPERM|can't access|can't run/);
  } finally {
    user.disconnect();
  }
});
