import { afterEach, beforeEach, expect, test } from 'vitest';
import { ingestorSubject, queueGroup, SUBJECTS } from '../common/messages/subjects.ts';
import type { Bus } from '../common/nats/bus.ts';
import { ManualClock, metricValue, type TestContext, testContext } from '../common/testing/context.ts';
import { startNats, type TestNats } from '../common/testing/nats/server.ts';
import { type RestrictedNats, startRestrictedNats } from '../common/testing/nats/users.ts';
import { withScripts } from '../common/testing/redis/scripts.ts';
import { startTestRedis, type TestRedis } from '../common/testing/redis/server.ts';
import { type Ingest, startIngest } from './main.ts';

const LOST_MS = 3_000;
const GAP_MS = LOST_MS / 3;

let redis: TestRedis;
let nats: TestNats;
let contexts: TestContext[];
let clock: ManualClock;
/** A client besides the processes, as a DEA is. */
let bus: Bus;

beforeEach(async () => {
  contexts = [];
  clock = new ManualClock();
  redis = await startTestRedis();
});
afterEach(async () => {
  for (const { lifecycle } of contexts) await lifecycle.stop();
  await Promise.all([redis.stop(), nats.stop()]);
});

const newContext = async (settings: object = {}): Promise<TestContext> => {
  const context = await testContext({
    redis,
    nats,
    clock,
    settings: { policy: { dropletLostMs: LOST_MS }, ...settings },
  });
  contexts.push(context);
  return context;
};

/** A client of its own, and a number of ingestors. */
async function start(count: number, server: TestNats): Promise<{ context: TestContext; ingest: Ingest }[]> {
  nats = server;
  bus = await (await newContext()).connectBus();
  const copies: { context: TestContext; ingest: Ingest }[] = [];
  for (let n = 0; n < count; n++) {
    const context = await newContext();
    copies.push({ context, ingest: await startIngest(context) });
  }
  return copies;
}

const exit = (instance: string) =>
  JSON.stringify({
    ...{ cc_partition: 'default', droplet: 'app', version: 'v1', instance, index: 0, reason: 'STOPPED' },
    ...{ exit_status: 0, exit_description: '' },
  });

/** Publishes exits. @returns how many are stored */
async function exitsStored(
  count: number,
  copies: { context: TestContext; ingest: Ingest }[],
): Promise<number> {
  const { client, keys } = (contexts[0] as TestContext).redis;
  await client.del(keys.droplet('app'));
  for (let n = 0; n < count; n++) bus.publish(SUBJECTS.exited, exit(`i${n}`));
  await bus.flush();
  for (const { context, ingest } of copies) {
    for (const own of await context.buses()) await own.flush();
    await ingest.idle();
  }
  const fields = await client.hkeys(keys.droplet('app'));
  return fields.filter((field) => field.startsWith('exit:')).length;
}

const deployment = { redisPrefix: 'hm', ccPartition: 'default' };

test.each([
  ['has headers', false],
  ['has none', true],
])('the share of an ingestor that stands still is taken over, where NATS %s', async (_, withoutHeaders) => {
  const copies = await start(1, await startNats({ withoutHeaders }));
  const [{ context, ingest }] = copies as [{ context: TestContext; ingest: Ingest }];
  const { client, keys } = context.redis;
  // A stopped process: NATS delivers its share to it, and nothing happens there.
  bus.subscribe(SUBJECTS.exited, { queue: queueGroup(deployment, 'ingest', 0) }, () => undefined);
  bus.subscribe(ingestorSubject('stopped'), {}, () => undefined);
  await bus.flush();
  await client.zadd(keys.watermarks, clock.nowMs(), 'stopped');
  await client.hset(keys.ingestors, 'stopped', `${clock.nowMs()} some-host 42`);
  expect(await exitsStored(40, copies)).toBeLessThan(40);
  for (let ms = 0; ms < 2 * GAP_MS; ms += 250) {
    clock.advance(250);
    await ingest.publishWatermark();
  }
  expect(await exitsStored(40, copies)).toBe(40);
  const takenOver = context.lines.filter(({ event }) => event === 'ingestor_taken_over');
  expect(takenOver).toEqual([
    expect.objectContaining({ ingestor: 'stopped', host: 'some-host', ingestorPid: 42 }),
  ]);
});

test('an ingestor that cannot write leaves the queue group while another one can, and joins again', async () => {
  const copies = await start(1, await startNats());
  const context = await newContext();
  let release: (() => void) | undefined;
  let isAway = false;
  const away = withScripts(context.redis, ['publish_watermark'], async (run) => {
    if (isAway)
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    return run();
  });
  await startIngest({ ...context, redis: away });
  isAway = true;
  const events = () =>
    context.lines.map(({ event }) => event).filter((event) => `${event}`.startsWith('queue_group'));
  await expect.poll(events).toEqual(['queue_group_left']);
  expect(await exitsStored(40, copies)).toBe(40);
  expect(await metricValue(context.metrics, 'hm_exits_received_total')).toBe(0);
  isAway = false;
  release?.();
  const { client, keys } = context.redis;
  await client.del(keys.watermarks);
  await expect.poll(() => client.zcard(keys.watermarks)).toBe(2);
  expect(events()).toEqual(['queue_group_left']);
  expect(await exitsStored(40, copies)).toBe(40);
  await expect.poll(() => metricValue(context.metrics, 'hm_exits_received_total')).toBeGreaterThan(0);
});

test('an ingestor that cannot write stays in the queue group where no other one can', async () => {
  nats = await startNats();
  const context = await newContext();
  let isAway = false;
  const away = withScripts(context.redis, ['publish_watermark'], async (run) => {
    if (isAway) throw new Error('OOM command not allowed');
    return run();
  });
  await startIngest({ ...context, redis: away });
  isAway = true;
  await new Promise((resolve) => setTimeout(resolve, GAP_MS + 1_500));
  expect(context.lines.filter(({ event }) => event === 'queue_group_left')).toEqual([]);
});

test('an ingestor whose subscription to heartbeats NATS drops is off the list and not ready, until NATS accepts it again', async () => {
  const server: RestrictedNats = await startRestrictedNats();
  nats = server;
  const mbus = { servers: [`127.0.0.1:${server.port}`], tls: false, user: 'hm', password: 'hm' };
  const context = await newContext({ mbus });
  await startIngest(context);
  const { client, keys } = context.redis;
  expect(await client.zcard(keys.watermarks)).toBe(1);
  server.deny(SUBJECTS.heartbeat);
  await expect.poll(() => client.zcard(keys.watermarks)).toBe(0);
  expect(context.health.problems().get('nats dea.heartbeat')).toBe(
    'NATS refuses the subscription to dea.heartbeat',
  );
  // With the others it still receives heartbeats: off the list, nobody would take over from it if it stood still.
  for (const subject of [SUBJECTS.shutdown, SUBJECTS.exited]) {
    server.deny(subject);
    await expect.poll(() => [...context.health.problems().keys()]).toEqual([`nats ${subject}`]);
    await expect.poll(() => client.zcard(keys.watermarks)).toBe(1);
  }
});

test('two deployments on one NATS each get every message', async () => {
  const copies = await start(1, await startNats());
  const trial = await newContext({ redisPrefix: 'trial' });
  await startIngest(trial);
  const partition = await newContext({ redisPrefix: 'other', ccPartition: 'zone-2' });
  await startIngest(partition);
  expect(await exitsStored(40, copies)).toBe(40);
});
