import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Health } from '../runtime/health.ts';
import { Lifecycle } from '../runtime/lifecycle/lifecycle.ts';
import { captureLog, metricValue } from '../testing/context.ts';
import type { TestNats } from '../testing/nats/server.ts';
import { type RestrictedNats, startRestrictedNats } from '../testing/nats/users.ts';
import type { Bus } from './bus.ts';
import { connectBus } from './connection/connect.ts';

let lifecycle: Lifecycle;
let health: Health;
let metrics: Registry;
let nats: RestrictedNats | TestNats | undefined;
const { log, lines } = captureLog();

beforeEach(() => {
  lifecycle = new Lifecycle();
  health = new Health();
  metrics = new Registry();
  lines.length = 0;
});
afterEach(async () => {
  await lifecycle.stop();
  await nats?.stop();
});

const connect = (): Promise<Bus> =>
  connectBus({
    mbus: { servers: [`127.0.0.1:${nats?.port}`], tls: false, user: 'hm', password: 'hm' },
    name: 'test',
    ...{ log, health, lifecycle, metrics },
  });
const events = () => lines.map(({ event, subject }) => `${event} ${subject ?? ''}`.trim());
const refused = () => metricValue(metrics, 'hm_nats_subscriptions_refused', { subject: 'dea.heartbeat' });
const until = (condition: () => void | Promise<void>) =>
  vi.waitFor(condition, { timeout: 8_000, interval: 10 });

describe.each([undefined, 'some-group'])('a subscription in queue group %s', (queue) => {
  const subscribe = (bus: Bus, got: string[] = []) =>
    bus.subscribe('dea.heartbeat', queue === undefined ? {} : { queue }, ({ data }) => got.push(`${data}`));

  test('that NATS refuses is known to be refused after a flush, and is retried until NATS accepts it', async () => {
    const server = await startRestrictedNats(['dea.heartbeat']);
    nats = server;
    const bus = await connect();
    const got: string[] = [];
    const subscription = subscribe(bus, got);
    bus.subscribe('dea.shutdown', {}, () => undefined);
    await bus.flush();
    expect(subscription.isRefused).toBe(true);
    expect(Object.fromEntries(health.problems())).toEqual({
      'nats dea.heartbeat': 'NATS refuses the subscription to dea.heartbeat',
    });
    expect(await refused()).toBe(1);
    server.deny();
    await until(() => expect(subscription.isRefused).toBe(false));
    expect(health.ready()).toBe(true);
    expect(await refused()).toBe(0);
    bus.publish('dea.heartbeat', Buffer.from([97]));
    await until(() => expect(got).toHaveLength(1));
    expect(events().filter((event) => event.startsWith('subscription'))).toEqual([
      'subscription_refused dea.heartbeat',
      'subscription_accepted dea.heartbeat',
    ]);
  });

  test('that NATS drops when it is reloaded is refused too', async () => {
    const server = await startRestrictedNats();
    nats = server;
    const bus = await connect();
    const subscription = subscribe(bus);
    await bus.flush();
    expect(subscription.isRefused).toBe(false);
    server.deny('dea.heartbeat');
    await until(() => expect(subscription.isRefused).toBe(true));
    expect(health.problems().get('nats dea.heartbeat')).toBe(
      'NATS refuses the subscription to dea.heartbeat',
    );
    server.deny();
    await until(() => expect(subscription.isRefused).toBe(false));
    expect(health.ready()).toBe(true);
  });

  test('that has ended is not retried', async () => {
    const server = await startRestrictedNats(['dea.heartbeat']);
    nats = server;
    const bus = await connect();
    const subscription = subscribe(bus);
    await bus.flush();
    subscription.unsubscribe();
    expect(health.ready()).toBe(true);
    expect(await refused()).toBe(0);
    await subscribe(bus).drain();
    await bus.flush();
    expect(health.ready()).toBe(true);
  });
});
