import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { Lifecycle } from '../common/runtime/lifecycle/lifecycle.ts';
import { metricValue, type TestContext, testContext, useRedis } from '../common/testing/context.ts';
import { startTestRedis } from '../common/testing/redis/server.ts';
import { consumeEvents } from './event-consumer.ts';
import { analyzerMetrics } from './metrics.ts';

const GROUP = 'analyzers';
const CLAIM_AFTER_MS = 60;
const of = useRedis();
const lifecycles: Lifecycle[] = [];

afterEach(async () => {
  for (const lifecycle of lifecycles.splice(0)) await lifecycle.stop();
});

interface Consumer {
  context: TestContext;
  /** The droplets that were reconciled, one list for each call. */
  reconciled: string[][];
  stop(): Promise<void>;
}

/** An analyzer that consumes the streams, on connections of its own. */
async function consumer(
  name: string,
  reconcile?: (droplets: string[]) => Promise<void>,
  claimAfterMs = CLAIM_AFTER_MS,
): Promise<Consumer> {
  const lifecycle = new Lifecycle();
  lifecycles.push(lifecycle);
  const context = await testContext({ redis: of.server, lifecycle });
  const reconciled: string[][] = [];
  consumeEvents({
    redis: context.redis,
    log: context.log,
    lifecycle,
    metrics: analyzerMetrics(context.metrics),
    consumer: name,
    claimAfterMs,
    reconcile: async (droplets) => {
      await reconcile?.(droplets);
      reconciled.push(droplets);
    },
  });
  return { context, reconciled, stop: () => lifecycle.stop() };
}

/** Adds an event as ingest writes it. */
const addEvent = (kind: 'exit' | 'update', droplet: string) =>
  of.context.redis.client.xadd(stream(droplet), '*', 'kind', kind, 'droplet', droplet);
const exit = (droplet: string) => addEvent('exit', droplet);
const stream = (droplet = 'x') => {
  const { keys } = of.context.redis;
  return keys.events(keys.sliceOf(droplet));
};
/** Events that were read and not acknowledged; undefined while there is no group. */
const pending = async (droplet = 'x') => {
  try {
    const [count] = (await of.context.redis.client.xpending(stream(droplet), GROUP)) as [number];
    return count;
  } catch {
    return undefined;
  }
};
const handled = ({ reconciled }: Consumer) => reconciled.flat().sort();

describe('an event', () => {
  test('is handled and acknowledged, also one from before the first analyzer', async () => {
    await exit('x');
    // A long claim time: nothing is claimed meanwhile, even on a busy machine.
    const one = await consumer('one', undefined, 60_000);
    await expect.poll(() => handled(one)).toEqual(['x']);
    await addEvent('update', 'y');
    await expect.poll(() => handled(one)).toEqual(['x', 'y']);
    await expect.poll(() => pending('x')).toBe(0);
    await expect.poll(() => pending('y')).toBe(0);
    expect(await metricValue(one.context.metrics, 'hm_events_total', { kind: 'exit' })).toBe(1);
    expect(await metricValue(one.context.metrics, 'hm_events_total', { kind: 'update' })).toBe(1);
  });

  test('goes to one of several analyzers', async () => {
    const consumers = [await consumer('one', undefined, 60_000), await consumer('two', undefined, 60_000)];
    for (let n = 0; n < 50; n++) await exit(`app-${n}`);
    const all = () => consumers.flatMap(handled).sort();
    await expect.poll(() => all().length).toBe(50);
    expect(new Set(all()).size).toBe(50);
  });

  test('that an analyzer had read when it died is claimed by another', async () => {
    const { client } = of.context.redis;
    await exit('x');
    await client.xgroup('CREATE', stream(), GROUP, '0');
    await client.xreadgroup('GROUP', GROUP, 'dead', 'COUNT', 10, 'STREAMS', stream(), '>');
    const other = await consumer('other');
    await expect.poll(() => handled(other)).toEqual(['x']);
    await expect.poll(() => pending()).toBe(0);
  });

  test('that an analyzer could not handle is claimed again', async () => {
    let failures = 1;
    const one = await consumer('one', async () => {
      if (failures-- > 0) throw new Error('Redis refused');
    });
    await exit('x');
    await expect.poll(() => handled(one)).toEqual(['x']);
    await expect.poll(() => pending()).toBe(0);
    expect(one.context.lines).toContainEqual(expect.objectContaining({ event: 'events_not_handled' }));
  });

  test('is acknowledged only when its effect is stored', async () => {
    let finish: () => void = () => undefined;
    const stored = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let running = 0;
    const one = await consumer('one', async () => {
      running++;
      await stored;
    });
    await exit('x');
    await expect.poll(() => running).toBeGreaterThan(0);
    expect(await pending()).toBe(1);
    finish();
    await expect.poll(() => pending()).toBe(0);
    expect(handled(one)).toContain('x');
  });

  test('in another format is counted and acknowledged, and the others are handled', async () => {
    const { client } = of.context.redis;
    await client.xadd(stream(), '*', 'kind', 'explosion', 'droplet', 'a');
    await client.xadd(stream(), '*', 'kind', 'exit');
    await client.xadd(stream(), '*', 'kind', 'exit', 'droplet', '');
    await client.xadd(stream(), '*', '__proto__', 'x');
    await exit('x');
    const one = await consumer('one');
    await expect.poll(() => handled(one)).toEqual(['x']);
    await expect.poll(() => pending()).toBe(0);
    expect(await metricValue(one.context.metrics, 'hm_events_rejected_total')).toBe(4);
    expect(one.context.lines.filter(({ event }) => event === 'stream_entry_rejected')).toHaveLength(4);
  });
});

describe('Redis', () => {
  test('that lost its data delivers new events', async () => {
    const one = await consumer('one');
    await exit('x');
    await expect.poll(() => handled(one)).toEqual(['x']);
    await of.context.redis.client.flushall();
    await exit('x');
    await expect.poll(() => handled(one), { timeout: 5000 }).toEqual(['x', 'x']);
    await expect.poll(() => pending()).toBe(0);
    // As at the first start: without a warning and without a delay.
    expect(one.context.lines.filter(({ event }) => event === 'events_not_handled')).toEqual([]);
  });

  test('that restarts empty delivers new events', async () => {
    const one = await consumer('one');
    await exit('x');
    await expect.poll(() => handled(one)).toEqual(['x']);
    const { port } = of.server;
    await of.server.stop();
    of.server = await startTestRedis(port);
    await exit('x');
    await expect.poll(() => handled(one)).toEqual(['x', 'x']);
  });
});

test('idle consumers of ended analyzers are deleted, but not while they have pending events', async () => {
  const { client } = of.context.redis;
  const names = async () => {
    const consumers = (await client.call('XINFO', 'CONSUMERS', stream(), GROUP)) as string[][];
    return consumers.map(([, name]) => name).sort();
  };
  await exit('x');
  await client.xgroup('CREATE', stream(), GROUP, '0');
  for (let n = 0; n < 5; n++) await client.call('XGROUP', 'CREATECONSUMER', stream(), GROUP, `gone-${n}`);
  await client.xreadgroup('GROUP', GROUP, 'died', 'COUNT', 10, 'STREAMS', stream(), '>');
  const one = await consumer('one');
  await expect.poll(() => handled(one)).toEqual(['x']);
  await expect
    .poll(names, { timeout: 5000 })
    .not.toEqual(expect.arrayContaining([expect.stringMatching('gone|died')]));
  await exit('x');
  await expect.poll(() => handled(one)).toEqual(['x', 'x']);
  await expect.poll(() => pending()).toBe(0);
});

test('a consumer stops at once while it waits for events', async () => {
  const one = await consumer('one');
  await exit('x');
  await expect.poll(() => handled(one)).toEqual(['x']);
  const stopped = one.stop().then(() => 'stopped');
  expect(await Promise.race([stopped, delay(2000, 'still waiting')])).toBe('stopped');
});

test('a consumer that stops handles events whose delivery was interrupted', async () => {
  const one = await consumer('one', undefined, 60_000);
  const { client } = of.context.redis;
  await exit('x');
  await expect.poll(() => handled(one)).toEqual(['x']);
  // As when the consumer disconnects while the reply is on its way: delivered, but never received.
  await client.xgroup('CREATE', stream('y'), GROUP, '0', 'MKSTREAM').catch(() => undefined);
  await client
    .multi()
    .xadd(stream('y'), '*', 'kind', 'exit', 'droplet', 'y')
    .xreadgroup('GROUP', GROUP, 'one', 'COUNT', 10, 'STREAMS', stream('y'), '>')
    .exec();
  await one.stop();
  expect(handled(one)).toEqual(['x', 'y']);
  expect(await pending('y')).toBe(0);
});
