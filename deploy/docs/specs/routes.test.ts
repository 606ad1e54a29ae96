/** The routes that the code serves are those of openapi.yml, both ways. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DIALECTS } from '../../../common/messages/dialects/dialects.ts';
import { NOW } from '../../../common/testing/builders.ts';
import { createAuthority } from '../../../common/testing/certificates/issue.ts';
import { testContext } from '../../../common/testing/context.ts';
import { startIngest } from '../../../ingest/main.ts';
import { ENCODERS } from '../../../nudger/dialect.ts';
import { APPS_QUERY } from '../../../reporter/api/pages/apps.ts';
import { DECISIONS_QUERY } from '../../../reporter/api/pages/decisions.ts';
import { type Bench, STATUS, startBench } from '../../verify/fixtures/reporter.ts';
import { CHANNELS } from './channels.ts';
import { PATHS } from './paths.ts';

/** `<method> <path>` of every route that a server has, while it is recorded. */
const routes = new Set<string>();
const record = (message: unknown) =>
  void (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.add(`${one.toLowerCase()} ${url}`);
  });

let dir: string;
let bench: Bench;
let reporterRoutes: Set<string>;
let ingestRoutes: Set<string>;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hm-specs-'));
  subscribe('fastify.initialization', record);
  bench = await startBench(NOW, STATUS, 'hm9000-http');
  reporterRoutes = new Set(routes);
  routes.clear();
  const authority = createAuthority(dir, 'ca');
  const { cert, key } = authority.issue('server');
  const files = { certFile: cert, keyFile: key, caFile: authority.ca };
  const settings = {
    dialect: 'hm9000-http' as const,
    heartbeatApi: { host: '127.0.0.1', port: 0, ...files },
  };
  const { redis, nats } = bench;
  const context = await testContext({ redis, nats, settings });
  await startIngest(context);
  ingestRoutes = new Set(routes);
  await context.lifecycle.stop();
});
afterAll(async () => {
  unsubscribe('fastify.initialization', record);
  await bench?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Not for programs: Bull Board's own pages, the dashboard's files, the answer to every other path, and what comes with a GET. */
const NOT_DOCUMENTED =
  /^(\S+ (\/queues.*|\/assets\/.*|\/\*)|(head|options|trace|search|propfind|proppatch|mkcol|copy|move|lock|unlock|delete|put|patch) .*)$/;

/** The path of a route as the specification writes it: names of parameters do not count. */
const normal = (route: string) => route.replace(/:\w+|\*|\{\w+\}/g, '{}');

const documented = (of: string) =>
  PATHS.filter((path) => path.of === of).map(({ method, path }) => normal(`${method} ${path}`));

test.each(['reporter', 'ingest'])('%s serves exactly the documented routes', (of) => {
  const served = [...(of === 'reporter' ? reporterRoutes : ingestRoutes)]
    .filter((route) => !NOT_DOCUMENTED.test(route))
    .map(normal);
  expect(new Set(served)).toEqual(new Set(documented(of)));
});

test('starts and stops leave on the documented subjects and paths, with each dialect', () => {
  const start = {
    ...{ droplet: 'd', updatedAtS: 1, version: 'v', index: 2 },
    ...{ running: [['v', 1]] as const, flapping: true },
  };
  const stop = {
    ...{ droplet: 'd', updatedAtS: 1, version: 'v', running: [], index: 0 },
    instances: [['i', 'v']] as const,
  };
  const sent = DIALECTS.flatMap((dialect) => [
    [dialect, ENCODERS[dialect].start(start, 'id').to],
    [dialect, ENCODERS[dialect].stop(stop, 'duplicate', 'id').to],
  ]);
  const channels = Object.values(CHANNELS).flatMap(({ role, peer, subject, dialects }) =>
    role === 'publishes' && peer === 'controller' ? (dialects ?? []).map((one) => [one, subject]) : [],
  );
  const paths = PATHS.filter(({ of }) => of === 'controller').map(({ path }) => [
    'hm9000-http',
    path.replace('{guid}', 'd'),
  ]);
  expect(new Set(sent.map(String))).toEqual(new Set([...channels, ...paths].map(String)));
});

test.each([
  ['/api/apps', APPS_QUERY],
  ['/api/decisions', DECISIONS_QUERY],
])('%s has exactly the documented query parameters', (path, query) => {
  const optional = PATHS.find((one) => one.path === path)?.optional ?? {};
  expect(Object.keys(optional).sort()).toEqual(Object.keys(query.properties).sort());
});
