/**
 * What runs, on a real Redis: ingest and the reporter's queries over NATS, the reporter's HTTP, the analyzer over a
 * Redis that somebody edits by hand. After each lot: nothing that is wrong is written, and what is right is served.
 */
import fc from 'fast-check';
import type { InjectOptions } from 'fastify';
import { Audit } from '../../analyzer/audit.ts';
import { Enqueuer } from '../../analyzer/enqueue.ts';
import { Looker } from '../../analyzer/look.ts';
import { analyzerMetrics } from '../../analyzer/metrics.ts';
import { Scanner } from '../../analyzer/scan.ts';
import type { Bus, Handler, Msg } from '../../common/bus.ts';
import { createHttp } from '../../common/http.ts';
import { parseExited, parseShutdown, parseUpdated } from '../../common/messages.ts';
import { openQueue, type QueueName } from '../../common/queues.ts';
import { dropletFromReply } from '../../common/record.ts';
import { SUBJECTS } from '../../common/subjects.ts';
import { metricValue, type TestContext } from '../../common/testing/context.ts';
import { isId } from '../../common/values.ts';
import * as wire from '../../common/wire.ts';
import { startIngest } from '../../ingest/main.ts';
import { Component } from '../../reporter/component.ts';
import { readFleet } from '../../reporter/fleet.ts';
import { reporterMetrics } from '../../reporter/metrics.ts';
import { Queries } from '../../reporter/queries.ts';
import { Records } from '../../reporter/records.ts';
import { addRoutes } from '../../reporter/routes.ts';
import { bytes, odd } from './arbitrary.ts';
import { RECORD } from './stored.ts';
import { type Fate, must, type Target } from './target.ts';

/** How many of a thousand inputs are for each. */
export const SHARES = { ingest: 80, queries: 40, http: 15, handEdited: 30 } as const;

/** A bus without a server: what is subscribed is called by the fuzzing, what is published is kept. */
export class LooseBus {
  readonly handlers = new Map<string, Handler>();
  replies: string[] = [];

  readonly bus = {
    connected: () => true,
    subscribe: (subject: string, _options: object, handler: Handler) => {
      this.handlers.set(subject, handler);
      return { drain: async () => undefined };
    },
    publish: (subject: string, data = '') => {
      if (subject === 'reply') this.replies.push(String(data));
    },
    flush: async () => undefined,
    answers: async () => true,
    onLost: () => undefined,
    onRestored: () => undefined,
  } as unknown as Bus;

  say(subject: string, data: Buffer): void {
    const handler = this.handlers.get(subject);
    if (handler === undefined) throw new Error(`nobody is subscribed to ${subject}`);
    handler({ data, subject, reply: 'reply', respond: () => true } as unknown as Msg);
  }
}

const SAID = fc.oneof(
  fc.tuple(fc.constant(SUBJECTS.heartbeat), bytes(wire.HEARTBEAT)),
  fc.tuple(fc.constant(SUBJECTS.exited), bytes(wire.EXITED)),
  fc.tuple(fc.constant(SUBJECTS.updated), bytes(wire.UPDATED)),
  fc.tuple(fc.constant(SUBJECTS.shutdown), bytes(wire.SHUTDOWN)),
);
/** Of these each message that is rejected is counted at once. */
const COUNTED = new Map<string, (data: Buffer) => object>([
  [SUBJECTS.exited, (data) => parseExited(data, 'default')],
  [SUBJECTS.updated, (data) => parseUpdated(data, 'default')],
  [SUBJECTS.shutdown, (data) => parseShutdown(data)],
]);

/** Ingest, from its subscriptions to Redis. */
export async function ingestTarget(context: TestContext): Promise<Target> {
  const loose = new LooseBus();
  const { idle } = await startIngest({ ...context, connectBus: async () => loose.bus });
  const { client } = context.redis;
  return {
    name: 'ingest over Redis',
    share: SHARES.ingest,
    lot: 100,
    input: SAID,
    async take(inputs) {
      await client.flushall();
      context.clock.advance(1_000);
      context.lines.length = 0;
      const rejected = () => metricValue(context.metrics, 'hm_messages_rejected_total');
      const before = await metricsOf(context, COUNTED.keys());
      let expected = 0;
      for (const [subject, data] of inputs as [string, Buffer][]) {
        loose.say(subject, data);
        const parse = COUNTED.get(subject);
        if (parse !== undefined && 'reject' in parse(data)) expected++;
      }
      await idle();
      must((await metricsOf(context, COUNTED.keys())) - before === expected, 'a rejection was not counted');
      const failed = context.lines.find(({ level }) => level === 50);
      must(failed === undefined, `an error: ${JSON.stringify(failed)}`);
      await wellWritten(context);
      return [
        ...Array<Fate>(inputs.length).fill(`taken, ${(await rejected()) > 0 ? 'some' : 'none'} rejected`),
      ];
    },
  };
}

async function metricsOf(context: TestContext, subjects: Iterable<string>): Promise<number> {
  let sum = 0;
  for (const subject of subjects) {
    sum += await metricValue(context.metrics, 'hm_messages_rejected_total', { subject });
  }
  return sum;
}

/** Every droplet's key is where it belongs and can be read. */
async function wellWritten({ redis }: TestContext): Promise<void> {
  const { client, keys } = redis;
  for (const key of await client.keys('*')) {
    must(key.startsWith('hm:{'), `a key of nobody: ${key}`);
    const id = /^hm:\{\d+\}:droplet:(.*)$/s.exec(key)?.[1];
    if (id === undefined) continue;
    must(isId(id) && keys.droplet(id) === key, `a droplet in the wrong place: ${key}`);
    const record = dropletFromReply(id, (await client.call('HGETALL', key)) as string[]);
    // What there is only a fence of is no droplet yet.
    must(record !== undefined && record.rev > 0, `a record without a revision: ${key}`);
    must((await client.hexists(keys.indexOf(id), id)) === 1, `not in the index: ${key}`);
  }
}

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
  const records = new Records(redis, clock);
  const { policy } = settings;
  const options = { bus: loose.bus, records, policy, log, health, metrics, counters };
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

const LOGIN = { user: 'operator', password: 'k3pt-s3cr3t' };
const OPEN = ['/healthz', '/readyz'];

/** The reporter's HTTP server: all its routes and what is near them. */
export function httpTarget(context: TestContext): Target {
  const { redis, clock, settings, health, lifecycle, log, metrics } = context;
  const app = createHttp({ lifecycle, log, health, metrics, auth: LOGIN });
  const routes = ['/healthz', '/readyz', '/metrics'];
  app.addHook('onRoute', ({ url }) => void routes.push(url));
  const queue = (name: QueueName) => openQueue(redis, lifecycle, log, name);
  const queues = { starts: queue('starts'), restarts: queue('restarts'), stops: queue('stops') };
  const { policy } = settings;
  const component = new Component(settings, clock);
  addRoutes({
    app,
    health,
    policy,
    records: new Records(redis, clock),
    facts: () => component.facts(),
    fleet: () => readFleet({ redis, clock, policy, queues }),
  });
  const authorization = `Basic ${Buffer.from(`${LOGIN.user}:${LOGIN.password}`).toString('base64')}`;
  const header = fc.oneof(
    { weight: 3, arbitrary: fc.constant(authorization) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('', 'Basic', 'Basic :', 'Bearer x', `Basic ${'A'.repeat(9_000)}`),
    },
    {
      weight: 1,
      arbitrary: fc.string({ maxLength: 30 }).map((text) => `Basic ${Buffer.from(text).toString('base64')}`),
    },
  );
  const tail = fc.oneof(
    fc.constantFrom('', '/', '/..', '/../varz', '?a=1', '%2e%2e', '%', '%00', '//', '\\', '#x', '/__proto__'),
    fc
      .string({ unit: 'binary', maxLength: 20 })
      .map((text) => encodeURIComponent(text.replace(/\p{Cs}/gu, ''))),
    odd.map((value) =>
      encodeURIComponent(
        String(JSON.stringify(value))
          .replace(/\p{Cs}/gu, '')
          .slice(0, 300),
      ),
    ),
  );
  const input = fc.record({
    method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'),
    url: fc.tuple(fc.constantFrom(...routes), tail).map(([route, end]) => route.replace('*', '') + end),
    authorization: header,
    origin: fc.option(fc.constantFrom('http://evil', 'null', '', 'http://localhost:80'), { nil: undefined }),
    contentType: fc.option(fc.constantFrom('application/json', 'text/plain', 'x/y', ';'), { nil: undefined }),
    body: fc.option(fc.constantFrom('{', '{"a":1}', '[', '\u0000', '{"__proto__":1}'), { nil: undefined }),
    from: fc.nat(0xffffff),
  });
  return {
    name: 'HTTP',
    share: SHARES.http,
    lot: 1,
    input,
    async take([one]) {
      const given = one as ReturnType<typeof input.generate>['value'];
      // What the tool that stands for the network takes for no path at all.
      if (!URL.canParse(given.url, 'http://localhost')) return ['no path'];
      const reply = await app.inject({
        method: given.method as NonNullable<InjectOptions['method']>,
        url: given.url,
        remoteAddress: `10.${given.from >> 16}.${(given.from >> 8) & 255}.${given.from & 255}`,
        headers: {
          authorization: given.authorization,
          ...(given.origin === undefined ? {} : { origin: given.origin }),
          ...(given.contentType === undefined ? {} : { 'content-type': given.contentType }),
        },
        ...(given.body === undefined ? {} : { payload: given.body }),
      });
      must(reply.statusCode < 500, `${given.url}: ${reply.statusCode} ${reply.body}`);
      must(!reply.body.includes(LOGIN.password), `${given.url} tells the password`);
      const open = OPEN.some((path) => given.url.startsWith(path));
      const entered = reply.statusCode === 200 && !open;
      must(!entered || given.authorization === authorization, `${given.url}: entered without a login`);
      return [String(reply.statusCode)];
    },
  };
}

const HELD = fc.oneof(
  fc.constant(undefined),
  odd.map((value) => String(JSON.stringify(value))),
);
const EDIT = fc.record({
  record: RECORD,
  /** Instead of a hash. */
  type: fc.constantFrom('hash', 'hash', 'hash', 'hash', 'string', 'list', 'set', 'zset'),
  massLoss: HELD,
  massDelete: HELD,
  event: fc.array(
    odd.map((value) => String(JSON.stringify(value))),
    { minLength: 2, maxLength: 4 },
  ),
  dea: odd.map((value) => String(JSON.stringify(value))),
});

/** The analyzer, over records, holds and DEA lists that somebody edits; one droplet beside them is as it should be. */
export function handEditedTarget(context: TestContext): Target {
  const { redis, clock, log, lifecycle, settings } = context;
  const { policy } = settings;
  const { client, keys } = redis;
  const metrics = analyzerMetrics(context.metrics);
  const queue = (name: QueueName) => openQueue(redis, lifecycle, log, name);
  const enqueuer = new Enqueuer({
    clock,
    starts: queue('starts'),
    restarts: queue('restarts'),
    stops: queue('stops'),
  });
  const looker = new Looker({ redis, clock, log, metrics, policy, enqueuer });
  const audit = new Audit({ redis, clock, policy, looker, auditRate: 1e9 });
  const scanner = new Scanner({
    redis,
    clock,
    log,
    metrics,
    policy,
    looker,
    audit,
    slicesQueue: queue('slices'),
  });
  const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
  return {
    name: 'analyzer over an edited Redis',
    share: SHARES.handEdited,
    lot: 50,
    input: EDIT,
    async take(inputs) {
      await client.flushall();
      context.lines.length = 0;
      const nowMs = clock.advance(1_000_000);
      const seen = nowMs - 500_000;
      await client.hset(keys.listening, { since: seen, until: nowMs });
      await client.hset(keys.syncState, { completed: nowMs - 1, succeeded: nowMs });
      const desired = 'STARTED 1x STAGED version v 64M updated 1398000000';
      await client.hset(keys.droplet('good'), { rev: 1, seen, desired });
      await client.hset(keys.indexOf('good'), 'good', '');
      await client.zadd(keys.due(keys.sliceOf('good')), nowMs, 'good');
      const edits = inputs as ReturnType<typeof EDIT.generate>['value'][];
      for (const [n, { record, type, massLoss, massDelete, event, dea }] of edits.entries()) {
        const id = `edited-${n}`;
        const key = keys.droplet(id);
        if (type === 'string') await client.set(key, 'x');
        else if (type === 'list') await client.rpush(key, 'x');
        else if (type === 'set') await client.sadd(key, 'x');
        else if (type === 'zset') await client.zadd(key, 1, 'x');
        else if (record.length > 0) await client.hset(key, ...record);
        await client.hset(keys.indexOf(id), id, '');
        await client.zadd(keys.due(keys.sliceOf(id)), nowMs, id);
        if (massLoss !== undefined) await client.hset(keys.holds, 'mass_loss', massLoss);
        if (massDelete !== undefined) await client.hset(keys.holds, 'mass_delete', massDelete);
        await client.zadd(keys.deasHeard, nowMs - 40_000, dea);
        await client.hset(keys.deaList(dea), 'list', event.join('\n'));
        await client.hset(keys.deasCount, dea, event[0] as string);
      }
      await scanner.tick();
      await scanner.work({ slices, audit: false });
      await scanner.work({ slices, audit: true });
      const [good] = [await client.hgetall(keys.droplet('good'))];
      must(
        good['slot:0']?.includes('"start"') === true,
        `the good droplet was not helped: ${JSON.stringify(good)}`,
      );
      return edits.map(({ type }) => type);
    },
  };
}
