import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testContext } from '../../../common/testing/context.ts';
import { startReporter } from '../../../reporter/main.ts';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

const STATUS = {
  host: '127.0.0.1',
  port: 0,
  user: 'watcher',
  password: 'k3pt-s3cr3t',
  queuesWritable: false,
};
let world: Deployment;
beforeAll(async () => {
  world = await cloud();
});
afterAll(() => world.stop());

test('neither what is logged nor what is stored nor what is shown has a password', async () => {
  const secrets = [world.cc.password, STATUS.password];
  const guids = await healthyApp(world, 'web', 2);
  await end(world, guids[0], 'CRASHED');
  // All that a controller can do to have its login mentioned in an error.
  world.cc.faults.unauthorized = 2;
  await world.advance(65);
  world.cc.faults.status = { code: 500 };
  await world.advance(130);
  delete world.cc.faults.status;
  await world.undesire('web');
  await world.advance(65);
  world.takeSent();
  const context = await testContext({
    redis: world.redis,
    nats: world.nats,
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
  const stored = (await Promise.all(world.redis.urls.map(dumpOf))).flat();
  const logged = JSON.stringify([...world.running.flatMap(({ context: of }) => of.lines), context.lines]);
  expect(logged).toContain('unauthorized');
  expect(shown).toContain('total_apps');
  const everything = [logged, shown, ...stored.map((dump) => dump.toString('latin1'))].join('\n');
  expect(everything).toContain('web-v1');
  for (const secret of secrets) {
    expect(everything).not.toContain(secret);
    expect(everything).not.toContain(Buffer.from(secret).toString('base64'));
  }
});

/** All values of a server. */
async function dumpOf(url: string): Promise<Buffer[]> {
  const server = new Redis(url);
  try {
    await server.config('SET', 'rdbcompression', 'no'); // DUMP would hide what it compresses
    const keys = await server.keys('*');
    const dumps: (Buffer | null)[] = await Promise.all(keys.map((key) => server.dumpBuffer(key)));
    return dumps.filter((dump) => dump !== null); // a key's time can be over meanwhile
  } finally {
    server.disconnect();
  }
}
