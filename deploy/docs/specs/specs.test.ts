import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import specs from '@asyncapi/specs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv } from 'ajv';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BULK_PAGE, EXITED, HEARTBEAT } from '../../../common/messages/schemas.ts';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { desired, droplet, instance, NOW, slot } from '../../../common/testing/builders.ts';
import { ask, type Bench, STATUS, startBench, store } from '../../verify/fixtures/reporter.ts';
import { asyncApi } from './asyncapi.ts';
import { CHANNELS, type Channel, channelTable } from './channels.ts';
import { openApi } from './openapi.ts';
import { PATHS } from './paths.ts';

const channels = Object.entries(CHANNELS) as [keyof typeof CHANNELS, Channel][];

// `@asyncapi/parser` checks the same and references, but brings 140 packages, one of which reports installations to its maker.
test('asyncapi.yml matches the meta schema of AsyncAPI 3', () => {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const validate = ajv.compile(specs.schemasWithoutId['3.0.0'] as object);
  validate(asyncApi());
  expect(validate.errors ?? []).toEqual([]);
});

test('openapi.yml matches the meta schema of OpenAPI 3.1', async () => {
  expect(await new Validator().validate(openApi())).toEqual({ valid: true });
});

test('every reference of asyncapi.yml leads somewhere, and every channel has an operation', () => {
  const document = asyncApi();
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]*)"/g)].map(
    ([, path = '']) => path,
  );
  const at = (path: string) =>
    path
      .split('/')
      .reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], document);
  expect(references.filter((path) => at(path) === undefined)).toEqual([]);
  const channels = Object.keys(document.channels as object).map((name) => `channels/${name}`);
  expect(channels.filter((channel) => !references.includes(channel))).toEqual([]);
});

test('every parameter in a path of openapi.yml is described, and no other', () => {
  for (const { path, parameters = {}, method } of PATHS) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
    if (method === 'post' || inPath.length > 0)
      expect([path, Object.keys(parameters)]).toEqual([path, inPath]);
  }
});

test('every subject of the code is a channel', () => {
  for (const [name, subject] of Object.entries(SUBJECTS))
    expect(CHANNELS[name as keyof typeof SUBJECTS].subject).toBe(subject);
});

test.each(channels)('the examples of %s match its schemas', (_, { payload, example, reply }) => {
  expect(Compile(payload).Check(example)).toBe(true);
  if (reply !== undefined) expect(Compile(reply.payload).Check(reply.example)).toBe(true);
});

describe('a reporter', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench(NOW, STATUS, 'hm9000-nats');
    const { redis } = bench.context;
    await redis.client.hset(redis.keys.listening, { since: NOW - 600_000, until: NOW });
    await redis.client.hset(redis.keys.syncState, { completed: NOW, succeeded: NOW });
    await redis.client.zadd(redis.keys.deasLastHeartbeat, NOW - 2_000, 'dea-1');
    const app = droplet({
      id: 'app',
      desired: desired(),
      instances: [instance('i')],
      slots: [slot({ index: 0, crashes: 3, flapping: true, lastCrashMs: NOW })],
    });
    await store(redis, app);
  });
  afterAll(() => bench.stop());

  const app = { droplet: 'app', version: 'v1' };
  test.each([
    ['statusRequest', { ...app, state: 'FLAPPING' }],
    ['statusRequest', { ...app, state: 'CRASHED' }],
    ['healthRequest', { droplets: [app] }],
    ['dropletRequest', { droplets: [app] }],
    ['appState', app],
    ['appState', { ...app, droplet: 'unknown' }],
    ['appStateBulk', [app]],
  ] as const)('replies on %s as documented', async (name, request) => {
    const { subject, reply } = CHANNELS[name];
    const [answer] = await ask(bench, subject, request);
    expect(answer).toBeDefined();
    if (reply === undefined) throw new Error('expected a documented reply');
    expect(Compile(reply.payload).Check(answer)).toBe(true);
  });

  test('serves each documented path, and lists no other', async () => {
    const base = `http://127.0.0.1:${bench.reporter.port}`;
    const authorization = `Basic ${Buffer.from(`${STATUS.user}:${STATUS.password}`).toString('base64')}`;
    const { paths } = (await (await fetch(`${base}/api`, { headers: { authorization } })).json()) as {
      paths: Record<string, string>;
    };
    const listed = Object.keys(paths).map((path) => path.replaceAll('<', '{').replaceAll('>', '}'));
    const documented = new Set(PATHS.filter(({ of }) => of === 'reporter').map(({ path }) => path));
    expect(listed.filter((path) => path !== '/queues' && !documented.has(path))).toEqual([]);
    for (const { path, method, of, isOpen } of PATHS) {
      if (of !== 'reporter' || path === '/bulk_app_state' || path === '/api/live') continue;
      const guid = path.includes('deas') ? 'dea-1' : 'app';
      const url = base + path.replace('{guid}', guid).replace('{hold}', 'mass_loss').replace('{id}', 'x');
      const without = await fetch(url, { method });
      expect([path, without.status]).toEqual([path, isOpen ? expect.any(Number) : 401]);
      const reply = await fetch(url, { method, headers: { authorization } });
      expect([path, reply.status, await reply.text()]).not.toEqual([path, 404, '{"error":"not found"}']);
    }
  });
});

describe('protocol.md', () => {
  const text = readFileSync(join(packageRoot, 'deploy', 'docs', 'protocol.md'), 'utf8');

  test('has the table of all subjects', () => {
    expect(text).toContain(channelTable());
  });

  test('has examples that match the schemas', () => {
    const examples = [...text.matchAll(/```json\n\s*(.*)\n/g)].map(([, json]) => JSON.parse(json ?? ''));
    const schemas = [HEARTBEAT, EXITED, BULK_PAGE, CHANNELS.start.payload, CHANNELS.stop.payload];
    expect(examples).toHaveLength(schemas.length);
    examples.forEach((example, at) => {
      expect(Compile(schemas[at] as TSchema).Check(example), JSON.stringify(example)).toBe(true);
    });
  });
});
