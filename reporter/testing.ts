/** A reporter on a real Redis and a real NATS, for tests: records are written as the other processes write them. */
import type { Bus, Msg } from '../common/bus.ts';
import type { Droplet } from '../common/droplet.ts';
import { desiredToText, exitToText, instanceToText } from '../common/record.ts';
import type { RedisConnections } from '../common/redis.ts';
import { FIELD } from '../common/schema.ts';
import { ManualClock, metricValue, type TestContext, testContext } from '../common/testing/context.ts';
import { startNats, type TestNats } from '../common/testing/nats.ts';
import { startTestRedis, type TestRedis } from '../common/testing/redis.ts';
import { type Reporter, startReporter } from './main.ts';

export const STATUS = {
  host: '127.0.0.1',
  port: 0,
  user: 'watcher',
  password: 'very-secret',
  queuesWritable: false,
};

export interface Bench {
  redis: TestRedis;
  nats: TestNats;
  clock: ManualClock;
  context: TestContext;
  reporter: Reporter;
  /** Another client of the same NATS. */
  bus: Bus;
  stop(): Promise<void>;
}

/** @param nowMs where its clock stands */
export async function startBench(nowMs: number): Promise<Bench> {
  const [redis, nats] = await Promise.all([startTestRedis(), startNats()]);
  const clock = new ManualClock(nowMs);
  const settings = { slices: 8, status: STATUS, index: 3 };
  const other = await testContext({ redis, nats, clock, settings });
  const bus = await other.connectBus();
  const context = await testContext({ redis, nats, clock, settings });
  const reporter = await startReporter(context);
  const stop = async () => {
    await context.lifecycle.stop();
    await other.lifecycle.stop();
    await Promise.all([redis.stop(), nats.stop()]);
  };
  return { redis, nats, clock, context, reporter, bus, stop };
}

/** Writes the droplet's record. */
export async function store({ client, keys }: RedisConnections, droplet: Droplet): Promise<void> {
  const { id, rev, firstSeenMs, desired, goneMs, updatedMs, instances, exits, slots, stops, outcomes } =
    droplet;
  const fields: [string, string | number][] = [
    [FIELD.rev, rev],
    [FIELD.seen, firstSeenMs],
    ...instances.map((i): [string, string] => [FIELD.instance + i.guid, instanceToText(i)]),
    ...exits.map((e): [string, string] => [FIELD.exit + e.instance, exitToText(e)]),
    ...Array.from(slots, ([index, slot]): [string, string] => [FIELD.slot + index, JSON.stringify(slot)]),
    ...Array.from(stops, ([guid, stop]): [string, string] => [FIELD.stop + guid, JSON.stringify(stop)]),
    ...Array.from(outcomes, ([of, outcome]): [string, string] => [
      FIELD.outcome + of,
      JSON.stringify(outcome),
    ]),
  ];
  if (desired !== undefined) fields.push([FIELD.desired, desiredToText(desired)]);
  if (goneMs !== undefined) fields.push([FIELD.gone, goneMs]);
  if (updatedMs !== undefined) fields.push([FIELD.updated, updatedMs]);
  await client.hset(keys.droplet(id), ...fields.flat());
}

/** Asks, waits until the reporter has done with the query, and returns all that it replied. */
export async function ask(bench: Bench, subject: string, payload: unknown): Promise<unknown[]> {
  const { bus, context } = bench;
  const replies: unknown[] = [];
  const inbox = `test.inbox.${Math.random().toString(36).slice(2)}`;
  const subscription = bus.subscribe(inbox, {}, (message: Msg) => replies.push(message.json()));
  await bus.flush();
  const before = await metricValue(context.metrics, 'hm_queries_total');
  const data =
    payload instanceof Uint8Array || typeof payload === 'string' ? payload : JSON.stringify(payload);
  bus.connection.publish(subject, data, { reply: inbox });
  await until(async () => (await metricValue(context.metrics, 'hm_queries_total')) > before);
  await (await context.connectBus()).flush();
  await bus.flush();
  subscription.unsubscribe();
  return replies;
}

/** Waits for a condition; the time limit is the test's. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}
