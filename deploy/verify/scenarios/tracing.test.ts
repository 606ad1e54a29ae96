import { afterEach, describe, expect, it } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Msg } from '../../../common/nats/bus.ts';
import { openQueue } from '../../../common/queues/queues.ts';
import { type CollectedSpan, startCollector, type TestCollector } from '../../../common/testing/collector.ts';
import { freePort } from '../../../common/testing/redis/server.ts';
import { type Stage, startStage } from './tracing-stage.ts';

let stage: Stage;
let collector: TestCollector | undefined;

afterEach(async () => {
  await stage?.stop();
  await collector?.stop();
  collector = undefined;
});

const OUR_SPANS = ['hm.heartbeat', 'hm.exit', 'hm.update', 'hm.reconcile', 'hm.deliver'];
const BULLMQ_SPANS = ['process starts', 'process restarts', 'process stops'];

async function traceAll(env: NodeJS.ProcessEnv = {}): Promise<TestCollector> {
  collector = await startCollector();
  stage = await startStage({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    ...env,
  });
  return collector;
}

/** The next `health.start` or `health.stop`. */
async function nextMessage(): Promise<Msg> {
  await expect.poll(() => stage.sent.length).toBeGreaterThan(0);
  return stage.sent.shift() as Msg;
}

/** The next `health.start` or `health.stop`. The DEA goes on, because a stop waits until the data of an empty Redis is no longer new. */
async function nextMessageAmongHeartbeats(): Promise<Msg> {
  const heartbeats = setInterval(() => stage.dea.sendHeartbeat(), 2_000);
  try {
    return await nextMessage();
  } finally {
    clearInterval(heartbeats);
  }
}

const header = (message: Msg, name: string) => message.headers?.get(name) ?? '';

/** The chain of spans that ends with this one, root first. */
async function chainTo(spanId: string): Promise<CollectedSpan[]> {
  const find = (id: string) => collector?.spans.find((span) => span.spanId === id);
  const chain = () => {
    const spans: CollectedSpan[] = [];
    for (let span = find(spanId); span !== undefined; span = find(span.parentSpanId)) spans.unshift(span);
    return spans;
  };
  await expect.poll(() => chain()[0]?.parentSpanId).toBe('');
  return chain();
}

/**
 * Crashes an app and returns the spans that led to its start. If a tick was faster than the event of the exit, it tries the
 * next app.
 */
async function crash(
  droplet: string,
  ...others: string[]
): Promise<{ droplet: string; message: Msg; chain: CollectedSpan[] }> {
  stage.dea.end(await stage.healthyApp(droplet), 'CRASHED');
  const message = await nextMessage();
  const chain = await chainTo(header(message, 'traceparent').split('-')[2] as string);
  const [next, ...rest] = others;
  return chain[0]?.name === 'hm.exit' || next === undefined
    ? { droplet, message, chain }
    : crash(next, ...rest);
}

const nameOf = ({ service, name }: CollectedSpan) => `${service} ${name}`;
const errors = () => stage.lines.filter(({ level }) => level === 'error' || level === 'fatal');

async function eventFields(): Promise<string[][]> {
  const { client, keys } = stage.context.redis;
  const streams = await Promise.all(keys.eventStreams.map((stream) => client.xrange(stream, '-', '+')));
  return streams.flat().map(([, fields]) => fields);
}

describe('with a collector', () => {
  it('an exit and its health.start are one trace', async () => {
    await traceAll();
    const { droplet, message, chain } = await crash('web', 'api', 'mailer');
    const [, traceId] = header(message, 'traceparent').split('-') as [string, string];
    expect(chain.map(nameOf)).toEqual([
      'hm-ingest hm.exit',
      'hm-analyzer hm.reconcile',
      'hm-nudger process starts',
      'hm-nudger hm.deliver',
    ]);
    expect(new Set(chain.map((span) => span.traceId))).toEqual(new Set([traceId]));
    const [exit, reconcile, , deliver] = chain;
    const decision = header(message, 'hm-decision');
    expect(exit?.attributes).toMatchObject({
      'hm.droplet': droplet,
      'hm.exit': 'CRASHED',
      'hm.is_new': true,
    });
    expect(reconcile?.attributes).toMatchObject({
      'hm.droplet': droplet,
      'hm.decisions': [`start ${decision}`],
      'hm.reasons': ['crashed'],
    });
    expect(deliver?.attributes).toMatchObject({
      'hm.droplet': droplet,
      'hm.decision': decision,
      'hm.reason': 'crashed',
      'hm.outcome': 'sent',
    });
    expect(await eventFields()).toContainEqual([
      ...['kind', 'exit', 'droplet', droplet, 'traceparent', `00-${traceId}-${exit?.spanId}-01`],
    ]);
    expect(errors()).toEqual([]);
  });

  it('a decision continues the trace of the heartbeat that caused it; equal heartbeats and idle workers have no trace', async () => {
    const { spans } = await traceAll({ OTEL_SERVICE_NAME: 'fleet' });
    await stage.healthyApp('web');
    for (let i = 0; i < 3; i++) {
      stage.dea.sendHeartbeat();
      await stage.bus.flush();
    }
    // A surplus index.
    stage.dea.run('web', 7);
    stage.dea.sendHeartbeat();
    const message = await nextMessageAmongHeartbeats();
    expect(message.subject).toBe(SUBJECTS.stop);
    const [, , spanId] = header(message, 'traceparent').split('-') as [string, string, string];
    const chain = await chainTo(spanId);
    expect(chain.map(nameOf)).toEqual([
      'fleet hm.heartbeat',
      'fleet hm.reconcile',
      'fleet process stops',
      'fleet hm.deliver',
    ]);

    await stage.stopProcesses(); // exports the last spans
    expect(spans.filter(({ name }) => name === 'hm.heartbeat')).toHaveLength(2);
    expect(spans.filter(({ name }) => ![...OUR_SPANS, ...BULLMQ_SPANS].includes(name))).toEqual([]);
    const idle = ({ name, attributes }: CollectedSpan) =>
      name === 'hm.reconcile' && attributes['hm.decided'] === 0;
    expect(spans.filter(idle)).toEqual([]);
  });

  it('a sampler of the environment decides which traces are kept', async () => {
    const { spans } = await traceAll({ OTEL_TRACES_SAMPLER: 'always_off' });
    stage.dea.end(await stage.healthyApp('web'), 'CRASHED');
    expect(header(await nextMessage(), 'traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    await stage.stopProcesses();
    expect(spans).toEqual([]);
  });

  it('an invalid traceparent in an event or a job is ignored', async () => {
    await traceAll();
    await stage.healthyApp('web');
    const { redis, lifecycle, log } = stage.context;
    for (const traceparent of ['nonsense', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`]) {
      await redis.client.xadd(
        redis.keys.events(redis.keys.sliceOf('web')),
        '*',
        ...['kind', 'update', 'droplet', 'web', 'traceparent', traceparent],
      );
    }
    const starts = openQueue(redis, lifecycle, log, 'starts');
    for (const metadata of ['{broken', '7', 'null', '{"traceparent":"nonsense"}']) {
      const data = { id: `web.start-0.1-${metadata.length}`, droplet: 'web', index: 0, version: 'web-v1' };
      await starts.add('broken', { ...data, reason: 'missing' }, { jobId: data.id, telemetry: { metadata } });
    }
    const left = async () =>
      Object.values(await starts.getJobCounts()).reduce((sum, count) => sum + count, 0);
    await expect.poll(left).toBe(0);
    const dropped = () => collector?.spans.filter(({ attributes }) => attributes['hm.outcome'] === 'dropped');
    await expect.poll(() => dropped()?.length).toBe(4);
    expect(stage.sent).toEqual([]);
    expect(stage.lines.filter(({ event }) => event === 'stream_entry_rejected')).toEqual([]);
    expect(errors()).toEqual([]);
  });
});

describe('without', () => {
  it('a collector, entries, jobs and headers carry no trace context', async () => {
    stage = await startStage({ OTEL_SERVICE_NAME: 'is no collector' });
    const guid = await stage.healthyApp('web');
    const { redis, lifecycle, log } = stage.context;
    const starts = openQueue(redis, lifecycle, log, 'starts');
    await starts.pause();
    stage.dea.end(guid, 'CRASHED');
    await expect.poll(async () => (await starts.getJobs()).length).toBe(1);
    const [job] = await starts.getJobs();
    const { opts } = await redis.client.hgetall(`${redis.keys.queuePrefix}:starts:${job?.id}`);
    expect(Object.keys(JSON.parse(opts as string)).sort()).toEqual([
      ...['attempts', 'jobId', 'priority', 'removeOnComplete', 'removeOnFail'],
    ]);
    await starts.resume();
    expect([...((await nextMessage()).headers?.keys() ?? [])].sort()).toEqual([
      'Nats-Msg-Id',
      'hm-decision',
      'hm-reason',
    ]);
    expect(await eventFields()).toEqual([['kind', 'exit', 'droplet', 'web']]);
  });
});

describe('a collector that', () => {
  const exportFailures = () => stage.lines.filter(({ event }) => event === 'traces_not_exported');

  it('is not reachable delays nothing, and is logged once by each process', async () => {
    const OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${await freePort()}`;
    stage = await startStage({
      ...{ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_BSP_SCHEDULE_DELAY: '50', OTEL_EXPORTER_OTLP_TIMEOUT: '300' },
    });
    for (const droplet of ['web', 'api', 'mailer']) {
      stage.dea.end(await stage.healthyApp(droplet), 'CRASHED');
      expect(JSON.parse((await nextMessage()).string())).toMatchObject({ droplet });
    }
    await expect.poll(() => new Set(exportFailures().map(({ name }) => name)).size).toBe(3);
    expect(exportFailures()).toHaveLength(3);
    expect(errors()).toEqual([]);
    expect(await stage.stopProcesses()).toBeLessThan(5_000);
  });

  it('never answers does not delay the stop of a process', async () => {
    const { spans } = await traceAll();
    if (collector !== undefined) collector.hang = true;
    stage.dea.end(await stage.healthyApp('web'), 'CRASHED');
    await nextMessage();
    expect(await stage.stopProcesses()).toBeLessThan(5_000);
    expect(spans).toEqual([]);
    expect(stage.lines.filter(({ event }) => event === 'stop_timed_out' || event === 'stop_failed')).toEqual(
      [],
    );
  });
});
