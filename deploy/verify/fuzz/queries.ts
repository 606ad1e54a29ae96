import fc from 'fast-check';
import * as wire from '../../../common/messages/schemas.ts';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { metricValue, type TestContext } from '../../../common/testing/context.ts';
import { reporterMetrics } from '../../../reporter/figures/metrics.ts';
import { Component } from '../../../reporter/http/component.ts';
import { DropletReader } from '../../../reporter/queries/droplet-reader.ts';
import { HealthReader } from '../../../reporter/queries/health-reader.ts';
import { Queries } from '../../../reporter/queries/queries.ts';
import { bytes } from './arbitrary.ts';
import { FakeBus } from './fake-bus.ts';
import { SHARES } from './shares.ts';
import { check, type Outcome, type Target } from './target.ts';

const QUERIES = fc.oneof(
  fc.tuple(fc.constant(SUBJECTS.statusRequest), bytes(wire.STATUS_REQUEST)),
  fc.tuple(fc.constant(SUBJECTS.healthRequest), bytes(wire.HEALTH_REQUEST)),
  fc.tuple(fc.constant(SUBJECTS.dropletRequest), bytes(wire.DROPLET_REQUEST)),
  fc.tuple(fc.constant(SUBJECTS.appState), bytes(wire.APP_STATE_REQUEST)),
  fc.tuple(fc.constant(SUBJECTS.appStateBulk), bytes(wire.APP_STATE_BULK_REQUEST)),
  fc.tuple(
    fc.constant(SUBJECTS.discover),
    fc.uint8Array({ maxLength: 40 }).map((a) => Buffer.from(a)),
  ),
);

/** The reporter's queries, none of which may write to Redis. */
export function queriesTarget(context: TestContext): Target {
  const { redis, clock, log, health, settings } = context;
  const fake = new FakeBus();
  const metrics = reporterMetrics(context.metrics);
  const counters = { increment: () => undefined } as never;
  const { policy } = settings;
  const reader = new DropletReader(redis, clock, policy);
  const options = {
    ...{ bus: fake.bus, reader, policy, log, health, metrics, counters, work: context.work },
    healthReader: new HealthReader(redis, clock, policy, reader),
    deployment: { redisPrefix: settings.redisPrefix, ccPartition: settings.ccPartition },
    dialect: 'hm9000-nats' as const,
    pingRedis: () => redis.client.ping(),
  };
  const queries = new Queries(options);
  const stop = queries.start();
  context.lifecycle.onStop('queries', stop);
  new Component(settings, clock).register(fake.bus);
  const outcomes = ['answered', 'unknown', 'rejected', 'no_reply_subject', 'busy', 'failed'];
  const outcome = (of: string) => metricValue(context.metrics, 'hm_queries_total', { outcome: of });
  const done = async () => {
    const counts = await Promise.all(outcomes.map(outcome));
    return counts.reduce((sum, n) => sum + n, 0);
  };
  return {
    name: 'queries over Redis',
    share: SHARES.queries,
    batchSize: 100,
    input: QUERIES,
    async process(inputs) {
      await redis.client.flushall();
      const [before, failed] = [await done(), await outcome('failed')];
      let sent = 0;
      for (const [subject, data] of inputs as [string, Buffer][]) {
        fake.deliver(subject, data);
        if (subject !== SUBJECTS.discover) sent++;
      }
      while ((await done()) < before + sent) await new Promise(setImmediate);
      check((await outcome('failed')) === failed, 'a query failed');
      check((await redis.client.dbsize()) === 0, 'a query wrote to Redis');
      fake.replies = [];
      return Array<Outcome>(inputs.length).fill('handled');
    },
  };
}
