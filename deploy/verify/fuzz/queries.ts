import fc from 'fast-check';
import * as wire from '../../../common/messages/schemas.ts';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { metricValue, type TestContext } from '../../../common/testing/context.ts';
import { reporterMetrics } from '../../../reporter/figures/metrics.ts';
import { Component } from '../../../reporter/http/component.ts';
import { DropletReader } from '../../../reporter/queries/droplet-reader.ts';
import { Queries } from '../../../reporter/queries/queries.ts';
import { bytes } from './arbitrary.ts';
import { LooseBus } from './loose-bus.ts';
import { SHARES } from './shares.ts';
import { type Fate, must, type Target } from './target.ts';

const ASKED = fc.oneof(
  fc.tuple(fc.constant(SUBJECTS.statusRequest), bytes(wire.STATUS_REQUEST)),
  fc.tuple(fc.constant(SUBJECTS.healthRequest), bytes(wire.HEALTH_REQUEST)),
  fc.tuple(fc.constant(SUBJECTS.dropletRequest), bytes(wire.DROPLET_REQUEST)),
  fc.tuple(
    fc.constant(SUBJECTS.discover),
    fc.uint8Array({ maxLength: 40 }).map((a) => Buffer.from(a)),
  ),
);

/** The reporter's queries: no answer creates anything. */
export function queriesTarget(context: TestContext): Target {
  const { redis, clock, log, health, settings } = context;
  const loose = new LooseBus();
  const metrics = reporterMetrics(context.metrics);
  const counters = { increment: () => undefined } as never;
  const reader = new DropletReader(redis, clock);
  const { policy } = settings;
  const options = { bus: loose.bus, reader, policy, log, health, metrics, counters };
  const queries = new Queries(options);
  const stop = queries.start();
  context.lifecycle.onStop('queries', stop);
  new Component(settings, clock).register(loose.bus);
  const outcomes = ['answered', 'unknown', 'rejected', 'no_reply_subject', 'busy', 'failed'];
  const outcome = (of: string) => metricValue(context.metrics, 'hm_queries_total', { outcome: of });
  const done = async () => {
    const counts = await Promise.all(outcomes.map(outcome));
    return counts.reduce((sum, n) => sum + n, 0);
  };
  return {
    name: 'queries over Redis',
    share: SHARES.queries,
    lot: 100,
    input: ASKED,
    async take(inputs) {
      await redis.client.flushall();
      const [before, failed] = [await done(), await outcome('failed')];
      let asked = 0;
      for (const [subject, data] of inputs as [string, Buffer][]) {
        loose.say(subject, data);
        if (subject !== SUBJECTS.discover) asked++;
      }
      while ((await done()) < before + asked) await new Promise(setImmediate);
      must((await outcome('failed')) === failed, 'a query failed');
      must((await redis.client.dbsize()) === 0, 'a query created something');
      loose.replies = [];
      return Array<Fate>(inputs.length).fill('handled');
    },
  };
}
