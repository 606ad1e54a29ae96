import type { Queue } from 'bullmq';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openQueue, type QueueName } from '../../common/queues/queues.ts';
import { NOW } from '../../common/testing/builders.ts';
import { testContext } from '../../common/testing/context.ts';
import { type Bench, STATUS, startBench } from '../../deploy/verify/fixtures/reporter.ts';
import { startReporter } from '../main.ts';

let bench: Bench;
let base: string;

beforeAll(async () => {
  bench = await startBench(NOW);
  base = `http://127.0.0.1:${bench.reporter.port}`;
});
afterAll(() => bench.stop());
beforeEach(async () => {
  await bench.context.redis.client.flushall();
});

const login = `Basic ${Buffer.from(`${STATUS.user}:${STATUS.password}`).toString('base64')}`;

/** Reads the whole reply, because a connection with an unread reply would stay open. */
async function load(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init);
  const text = await response.text();
  const { status, headers } = response;
  return { status, headers, text, json: () => JSON.parse(text) as unknown };
}

function ask(path: string, init: RequestInit = {}) {
  return load(base + path, { ...init, headers: { authorization: login } });
}

const opened = new Map<QueueName, Queue>();

function queue(name: QueueName): Queue {
  const { redis, lifecycle, log } = bench.context;
  const known = opened.get(name) ?? openQueue(redis, lifecycle, log, name);
  opened.set(name, known);
  return known;
}

interface Shown {
  name: string;
  displayName: string;
  description: string;
  readOnlyMode: boolean;
  counts: Record<string, number>;
  jobs: { id: string; name: string; data: unknown; delay: number }[];
}

async function shown(name: QueueName): Promise<Shown> {
  const reply = await ask(`/queues/api/queues?activeQueue=${name}&status=latest&page=1&jobsPerPage=10`);
  expect(reply.status).toBe(200);
  const { queues } = reply.json() as { queues: Shown[] };
  return queues.find((one) => one.name === name) as Shown;
}

test.each([
  '/queues',
  '/queues/',
  '/queues/api/queues',
  '/queues/static/favicon-32x32.png',
  '/queues/no/such',
])('%s needs the login', async (path) => {
  const reply = await load(base + path);
  expect([reply.status, reply.headers.get('www-authenticate')]).toEqual([
    401,
    'Basic realm="health manager", charset="UTF-8"',
  ]);
  expect(reply.text).not.toMatch(/node_modules|at .*\.js/);
});

test.each(['/queues', '/queues/', '/queues/queue/starts', '/queues/queue/starts/some.job'])(
  '%s is the page, and loads nothing from other hosts',
  async (path) => {
    const reply = await ask(path);
    const html = reply.text;
    expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(reply.headers.get('content-security-policy')).toMatch(/^default-src 'self'; /);
    expect(html).toContain('Health manager: queues');
    expect(html).not.toMatch(/(src|href)="https?:/);
    const scripts = [...html.matchAll(/(?:src|href)="(static\/(?:js|css)[^"]*)"/g)].map(([, file]) => file);
    expect(scripts.length).toBeGreaterThan(1);
    for (const file of scripts) expect([file, (await ask(`/queues/${file}`)).status]).toEqual([file, 200]);
  },
);

test('times have the 24 hours of the dashboard, and a link leads back to it', async () => {
  const { text } = await ask('/queues');
  const config = JSON.parse(/__UI_CONFIG__"[^>]*>(.*?)<\/script>/s.exec(text)?.[1] ?? '{}');
  expect(config).toMatchObject({
    dateFormats: { short: 'HH:mm:ss' },
    miscLinks: [{ text: 'Dashboard of the health manager', url: '/' }],
  });
});

test('every queue is shown, with a description', async () => {
  const { queues } = (await ask('/queues/api/queues')).json() as { queues: Shown[] };
  expect(queues.map(({ name }) => name)).toEqual(['starts', 'restarts', 'stops', 'slices', 'sync', 'cron']);
  for (const { displayName, description, readOnlyMode } of queues) {
    expect([displayName, description, readOnlyMode]).toEqual([
      expect.any(String),
      expect.stringMatching(/ /),
      true,
    ]);
  }
});

test('a waiting start, and a flapping restart that is delayed', async () => {
  const start = { id: 'web.start-0.4-k', droplet: 'web', index: 0, version: 'v1', reason: 'missing' };
  await queue('starts').add('missing: start web/0', start, { jobId: start.id, priority: 1001 });
  const restart = { ...start, id: 'web.start-1.5-k', index: 1, reason: 'flapping' };
  await queue('restarts').add('flapping: start web/1', restart, { jobId: restart.id, delay: 60_000 });

  expect(await shown('starts')).toMatchObject({
    counts: { prioritized: 1 },
    jobs: [{ id: start.id, name: 'missing: start web/0', data: start }],
  });
  expect(await shown('restarts')).toMatchObject({
    counts: { delayed: 1 },
    jobs: [{ id: restart.id, name: 'flapping: start web/1', data: restart, delay: 60_000 }],
  });
  const one = await ask(`/queues/api/queues/starts/${start.id}`);
  expect(one.json()).toMatchObject({ job: { data: start }, status: 'prioritized' });
});

const WRITES: [string, string][] = [
  ['PUT', '/queues/api/queues/pause'],
  ['PUT', '/queues/api/queues/starts/pause'],
  ['PUT', '/queues/api/queues/starts/empty'],
  ['PUT', '/queues/api/queues/starts/obliterate'],
  ['PUT', '/queues/api/queues/starts/web.start-0.4-k/clean'],
  ['POST', '/queues/api/queues/starts/add'],
];

test.each(WRITES)('changes are refused unless queues_writable is on: %s %s', async (method, path) => {
  await queue('starts').add('missing: start web/0', {}, { jobId: 'web.start-0.4-k', priority: 1001 });
  expect((await ask(path, { method })).status).toBe(403);
  expect(await shown('starts')).toMatchObject({ counts: { prioritized: 1 } });
  expect(await queue('starts').isPaused()).toBe(false);
});

test('with queues_writable on, changes are accepted from the own pages and refused from others', async () => {
  const { redis, nats } = bench;
  const settings = { slices: 8, status: { ...STATUS, queuesWritable: true } };
  const context = await testContext({ redis, nats, settings });
  try {
    const { port } = await startReporter(context);
    const own = `http://127.0.0.1:${port}`;
    const clean = (headers: Record<string, string>) =>
      load(`${own}/queues/api/queues/starts/web.start-0.4-k/clean`, {
        method: 'PUT',
        headers: { authorization: login, ...headers },
      });
    await queue('starts').add('missing: start web/0', {}, { jobId: 'web.start-0.4-k', priority: 1001 });
    expect((await clean({ origin: 'http://elsewhere.example' })).status).toBe(403);
    expect((await clean({ 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect(await shown('starts')).toMatchObject({ counts: { prioritized: 1 } });
    expect((await clean({ origin: own, 'sec-fetch-site': 'same-origin' })).status).toBe(204);
    expect(await shown('starts')).toMatchObject({ counts: { prioritized: 0 } });
  } finally {
    await context.lifecycle.stop();
  }
});

test.each([
  '?jobsPerPage=101',
  '?jobsPerPage=-1',
  '?page=0',
  '?status=meta',
  '?activeQueue=%25',
  '?status=latest&status=active',
])('a query that is not valid is refused: %s', async (query) => {
  const reply = await ask(`/queues/api/queues${query}`);
  expect([reply.status, reply.json()]).toEqual([400, { error: expect.stringMatching(/^query/) }]);
});

test.each(['no-such-job', 'prioritized', '%25', '__proto__'])(
  '404 for a job that does not exist: %s',
  async (id) => {
    await queue('starts').add('missing: start web/0', {}, { jobId: 'web.start-0.4-k', priority: 1001 });
    expect((await ask(`/queues/api/queues/starts/${id}`)).status).toBe(404);
  },
);

test('404 for pages and files that do not exist', async () => {
  expect((await ask('/queues/no/such/page')).status).toBe(404);
  expect((await ask('/queues/static/no-such.js')).status).toBe(404);
});

test('the page of a job: no flow, no error, and a link to its app', async () => {
  await queue('starts').add('start', { droplet: 'a/b', index: 0 }, { jobId: 'id.1' });
  const flow = await ask('/queues/api/queues/starts/id.1/flow');
  expect([flow.status, flow.json()]).toEqual([200, { nodeId: 'id.1', flowRoot: null, isFlowNode: false }]);
  const job = await ask('/queues/api/queues/starts/id.1');
  expect(job.json()).toMatchObject({
    job: { externalUrl: { displayText: 'app a/b', href: '/#/droplet/a%2Fb' } },
  });
  expect(bench.context.lines.filter(({ event }) => event === 'queue_board_failed')).toEqual([]);
});
