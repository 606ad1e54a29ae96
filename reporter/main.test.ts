import { expect, test } from 'vitest';
import { SUBJECTS } from '../common/messages/subjects.ts';
import { PortTakenError } from '../common/runtime/http/http.ts';
import { testContext } from '../common/testing/context.ts';
import { startNats } from '../common/testing/nats/server.ts';
import { freePort, startTestRedis } from '../common/testing/redis/server.ts';
import { STATUS, startBench } from '../deploy/verify/fixtures/reporter.ts';
import { hostOf } from './http/address.ts';
import { startReporter } from './main.ts';

const NOW = 1_400_000_000_000;

test('a port in use is an error, also one given on the command line', async () => {
  const bench = await startBench(NOW);
  const { port } = bench.reporter;
  const { redis, nats } = bench;
  const second = await testContext({ redis, nats, settings: { slices: 8, status: { ...STATUS, port } } });
  const third = await testContext({ redis, nats, settings: { slices: 8, status: STATUS } });
  await expect(startReporter(second)).rejects.toThrow(PortTakenError);
  await expect(startReporter({ ...third, httpPort: port })).rejects.toThrow(`port ${port} on 127.0.0.1`);
  await Promise.all([second.lifecycle.stop(), third.lifecycle.stop()]);
  await bench.stop();
});

test('it serves HTTP before NATS is connected, and then announces itself', async () => {
  const redis = await startTestRedis();
  const natsPort = await freePort();
  const settings = { slices: 8, status: STATUS };
  const url = `nats://127.0.0.1:${natsPort}`;
  const context = await testContext({ redis, nats: { url }, settings });
  const port = await freePort();
  const started = startReporter({ ...context, httpPort: port });
  const statusOf = (path: string) =>
    fetch(`http://127.0.0.1:${port}${path}`).then(
      ({ status }) => status,
      () => undefined,
    );
  await expect.poll(() => statusOf('/readyz')).toBe(503);
  expect(await statusOf('/healthz')).toBe(200);

  const listener = await testContext({ redis, nats: { url }, settings });
  const listening = listener.connectBus().then(async (bus) => {
    const announced = new Promise<unknown>((resolve) => {
      bus.subscribe(SUBJECTS.announce, {}, (message) => resolve(message.json()));
    });
    await bus.flush();
    return { announced };
  });
  const nats = await startNats({ port: natsPort });
  const { announced } = await listening;
  await started;
  await expect.poll(() => statusOf('/readyz')).toBe(200);
  // The first announcement may precede our subscription; that of a second reporter does not.
  const second = await testContext({ redis, nats, settings });
  await startReporter(second);
  expect(await announced).toMatchObject({
    type: 'HealthManager',
    credentials: [STATUS.user, STATUS.password],
  });

  await Promise.all([context, listener, second].map(({ lifecycle }) => lifecycle.stop()));
  await Promise.all([nats.stop(), redis.stop()]);
});

test('bound to all addresses, it registers the one with the route to local_route', async () => {
  const [redis, nats] = await Promise.all([startTestRedis(), startNats()]);
  const settings = { slices: 8, status: { ...STATUS, host: '0.0.0.0' }, localRoute: '127.0.0.1' };
  const context = await testContext({ redis, nats, settings });
  const { port } = await startReporter(context);
  const bus = await context.connectBus();
  const found = (await bus.request(SUBJECTS.discover, '', { timeoutMs: 5_000 })).json();
  expect(found).toMatchObject({ host: `127.0.0.1:${port}` });
  await context.lifecycle.stop();
  await Promise.all([nats.stop(), redis.stop()]);
});

test('queries received before the stop are answered and counted', async () => {
  const bench = await startBench(NOW);
  const { bus, context } = bench;
  const { client, keys } = context.redis;
  await client.hset(keys.droplet('app'), 'instance:i', '0 RUNNING on d version v since 1 first 1');
  const replies: string[] = [];
  bus.subscribe('replies', {}, (message) => replies.push(message.string()));
  await bus.flush();
  const asked = 200;
  for (let n = 0; n < asked; n++) {
    const data = JSON.stringify({ droplets: [{ droplet: 'app', version: `v${n}` }] });
    bus.connection.publish(SUBJECTS.healthRequest, data, { reply: 'replies' });
  }
  await bus.flush();
  await context.lifecycle.stop();
  await bus.flush();
  expect(replies).toHaveLength(asked);

  const after = await testContext({ redis: bench.redis, settings: { slices: 8 } });
  const count = await after.redis.client.hget(keys.counters, 'healthmanager_health_request_msgs_received');
  expect(count).toBe(String(asked));
  await after.lifecycle.stop();
  await bench.stop();
});

test('one of several reporters answers a query, but each is a component', async () => {
  const bench = await startBench(NOW);
  const { bus, context, redis, nats } = bench;
  const second = await testContext({ redis, nats, settings: { slices: 8, status: STATUS } });
  await startReporter(second);
  await (await second.connectBus()).flush(); // so that it is subscribed
  await context.redis.client.hset(
    context.redis.keys.droplet('app'),
    'instance:i',
    '0 RUNNING on d version v since 1 first 1',
  );
  let replies = 0;
  bus.subscribe('replies', {}, () => replies++);
  const found = new Set<unknown>();
  bus.subscribe('found', {}, (message) => found.add(message.json<{ uuid: string }>().uuid));
  await bus.flush();
  bus.connection.publish(SUBJECTS.discover, '', { reply: 'found' });
  const requests: [string, object][] = [
    [SUBJECTS.statusRequest, { droplet: 'app', state: 'CRASHED' }],
    [SUBJECTS.healthRequest, { droplets: [{ droplet: 'app', version: 'v' }] }],
    [SUBJECTS.dropletRequest, { droplets: [{ droplet: 'app' }] }],
  ];
  const rounds = 10;
  for (let n = 0; n < rounds; n++) {
    for (const [subject, request] of requests) {
      bus.connection.publish(subject, JSON.stringify(request), { reply: 'replies' });
    }
  }
  await bus.flush();
  // Each answers what it has received before it stops.
  await Promise.all([context, second].map(({ lifecycle }) => lifecycle.stop()));
  await bus.flush();
  expect(replies).toBe(rounds * requests.length);
  expect(found.size).toBe(2);
  await bench.stop();
});

test.each([
  ['127.0.0.1', undefined, '127.0.0.1:80'],
  ['10.1.2.3', undefined, '10.1.2.3:80'],
  ['::1', undefined, '[::1]:80'],
  // The route to a loopback address has a loopback address.
  ['0.0.0.0', '127.0.0.1', '127.0.0.1:80'],
  ['::', '127.0.0.1', '127.0.0.1:80'],
])('a server on %s with local_route %s is reached at %s', async (bound, route, host) => {
  expect(await hostOf(bound, 80, route)).toBe(host);
});

test('there is always an address, also without a route', async () => {
  for (const route of [undefined, 'no.such.host.invalid', '255.255.255.255']) {
    expect(await hostOf('0.0.0.0', 80, route)).toMatch(/^\d+\.\d+\.\d+\.\d+:80$/);
    expect(await hostOf('0.0.0.0', 80, route)).not.toMatch(/^0\./);
  }
});
