import fc from 'fast-check';
import type { InjectOptions } from 'fastify';
import { openQueue, type QueueName } from '../../../common/queues/queues.ts';
import { createHttp } from '../../../common/runtime/http/http.ts';
import type { TestContext } from '../../../common/testing/context.ts';
import { readFleet } from '../../../common/views/fleet.ts';
import { LiveBroadcaster } from '../../../reporter/api/live/live-broadcaster.ts';
import { actMetrics } from '../../../reporter/figures/metrics.ts';
import { Component } from '../../../reporter/http/component.ts';
import { addRoutes } from '../../../reporter/http/routes.ts';
import { DropletReader } from '../../../reporter/queries/droplet-reader.ts';
import { oddValue } from './arbitrary.ts';
import { SHARES } from './shares.ts';
import { check, type Target } from './target.ts';

const LOGIN = { user: 'operator', password: 'k3pt-s3cr3t' };
const OPEN = ['/healthz', '/readyz'];

/** The reporter's HTTP server, with its routes and variations of their paths. */
export function httpTarget(context: TestContext): Target {
  const { redis, clock, settings, health, lifecycle, log, metrics } = context;
  const app = createHttp({ lifecycle, log, health, metrics, auth: LOGIN });
  const routes = ['/healthz', '/readyz', '/metrics'];
  app.addHook('onRoute', ({ url }) => {
    // Its response does not end, so an injected request would wait forever.
    if (url !== '/api/live') routes.push(url);
  });
  const queue = (name: QueueName) => openQueue(redis, lifecycle, log, name);
  const queues = { starts: queue('starts'), restarts: queue('restarts'), stops: queue('stops') };
  const { policy } = settings;
  const component = new Component(settings, clock);
  const reader = new DropletReader(redis, clock, policy);
  const fleet = () => readFleet({ redis, clock, policy, queues });
  const sources = { redis, clock, policy, reader, fleet, log, health };
  const broadcaster = lifecycle.own(
    'live broadcaster',
    new LiveBroadcaster({ ...sources, dryRun: false }),
    (of) => of.stop(),
  );
  const acts = actMetrics(metrics);
  addRoutes({
    ...sources,
    app,
    broadcaster,
    acts,
    dialect: 'hm9000-http',
    limits: settings,
    facts: () => component.facts(),
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
    oddValue.map((value) =>
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
    batchSize: 1,
    input,
    async process([one]) {
      const given = one as ReturnType<typeof input.generate>['value'];
      // The injection tool rejects these paths itself.
      if (!URL.canParse(given.url, 'http://localhost')) return ['invalid path'];
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
      check(reply.statusCode < 500, `${given.url}: ${reply.statusCode} ${reply.body}`);
      check(!reply.body.includes(LOGIN.password), `${given.url} shows the password`);
      const open = OPEN.some((path) => given.url.startsWith(path));
      const entered = reply.statusCode === 200 && !open;
      check(!entered || given.authorization === authorization, `${given.url}: entered without a login`);
      return [String(reply.statusCode)];
    },
  };
}
