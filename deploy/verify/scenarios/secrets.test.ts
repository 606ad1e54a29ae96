import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testContext } from '../../../common/testing/context.ts';
import { startReporter } from '../../../reporter/main.ts';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

const STATUS = {
  host: '127.0.0.1',
  port: 0,
  user: 'watcher',
  password: 'k3pt-s3cr3t',
  queuesWritable: false,
};
let deployment: Deployment;
beforeAll(async () => {
  deployment = await startCloud();
});
afterAll(() => deployment.stop());

test('no log line, no Redis key and no page contains a password', async () => {
  const secrets = [deployment.controller.password, STATUS.password];
  const guids = await healthyApp(deployment, 'web', 2);
  await endInstance(deployment, guids[0], 'CRASHED');
  // Every controller fault whose error could mention the login.
  deployment.controller.faults.unauthorized = 2;
  await deployment.advance(65);
  deployment.controller.faults.status = { code: 500 };
  await deployment.advance(130);
  delete deployment.controller.faults.status;
  await deployment.deleteApp('web');
  await deployment.advance(65);
  deployment.takeSentMessages();
  const context = await testContext({
    redis: deployment.redis,
    nats: deployment.nats,
    settings: { slices: 4, status: STATUS },
  });
  let shown = '';
  try {
    const { port } = await startReporter(context);
    const authorization = `Basic ${Buffer.from(`${STATUS.user}:${STATUS.password}`).toString('base64')}`;
    for (const path of ['/', '/varz', '/metrics', '/api/fleet', '/api/droplets/web', '/nowhere']) {
      const reply = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization } });
      shown += await reply.text();
    }
  } finally {
    await context.lifecycle.stop();
  }
  const stored = (await Promise.all(deployment.redis.urls.map(dumpOf))).flat();
  const logged = JSON.stringify([
    ...deployment.processes.running.flatMap((process) => process.context.lines),
    context.lines,
  ]);
  expect(logged).toContain('unauthorized');
  expect(shown).toContain('total_apps');
  const everything = [logged, shown, ...stored.map((dump) => dump.toString('latin1'))].join('\n');
  expect(everything).toContain('web-v1');
  for (const secret of secrets) {
    expect(everything).not.toContain(secret);
    expect(everything).not.toContain(Buffer.from(secret).toString('base64'));
  }
});

/** The dump of every key of a server. */
async function dumpOf(url: string): Promise<Buffer[]> {
  const server = new Redis(url);
  try {
    await server.config('SET', 'rdbcompression', 'no'); // a compressed DUMP would hide strings
    const keys = await server.keys('*');
    const dumps: (Buffer | null)[] = await Promise.all(keys.map((key) => server.dumpBuffer(key)));
    return dumps.filter((dump) => dump !== null); // a key may expire meanwhile
  } finally {
    server.disconnect();
  }
}
