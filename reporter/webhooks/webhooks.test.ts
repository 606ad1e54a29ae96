/** Webhooks against a real HTTP server, a real Redis and BullMQ. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Queue, Worker } from 'bullmq';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WEBHOOK_EVENTS, type WebhookEvent, type WebhookSettings } from '../../common/config/webhooks.ts';
import { openQueue, openWorker } from '../../common/queues/queues.ts';
import { hookId, MAX_WAITING, type WebhookBody, WebhookQueue } from '../../common/queues/webhook-queue.ts';
import { NOW, operatorHold } from '../../common/testing/builders.ts';
import { metricValue, useRedis } from '../../common/testing/context.ts';
import type { Fleet } from '../../common/views/fleet.ts';
import { Alarms } from './alarms.ts';
import { MAX_TRIES, webhookProcessor } from './deliver.ts';
import { webhookMetrics } from './metrics.ts';

const fixture = useRedis();
const DEPLOYMENT = { prefix: 'hm', partition: 'default' };

interface Received {
  path: string;
  headers: IncomingMessage['headers'];
  body: WebhookBody;
}

let server: Server;
let base: string;
let received: Received[];
/** What the receiver answers, request by request; then 200. */
let answers: (number | 'hang' | 'redirect' | 'close')[];
let queue: Queue;
let registry: Registry;
const workers: Worker[] = [];

beforeEach(async () => {
  received = [];
  answers = [];
  server = createServer((request, reply) => void answer(request, reply));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { redis, lifecycle, log } = fixture.context;
  queue = openQueue(redis, lifecycle, log, 'webhooks');
  registry = new Registry();
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function answer(request: IncomingMessage, reply: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = JSON.parse(Buffer.concat(chunks).toString()) as WebhookBody;
  received.push({ path: request.url ?? '', headers: request.headers, body });
  const status = answers.shift() ?? 200;
  if (status === 'hang') return;
  if (status === 'close') return void request.socket.destroy();
  if (status === 'redirect') return void reply.writeHead(302, { location: `${base}/elsewhere` }).end();
  reply.writeHead(status).end('x'.repeat(100));
}

const hook = (events: WebhookEvent[] = [...WEBHOOK_EVENTS], path = '/t0ken'): WebhookSettings => ({
  url: base + path,
  events,
});

/** Starts a reporter's worker. */
function start(hooks: readonly WebhookSettings[]) {
  const { redis, lifecycle, log } = fixture.context;
  const metrics = webhookMetrics(registry);
  const processor = webhookProcessor({ hooks, log, metrics, answerMs: 2_000, firstDelayMs: 1 });
  workers.push(openWorker(redis, lifecycle, log, 'webhooks', processor, { concurrency: 10 }));
  return webhookQueue(hooks);
}
function webhookQueue(hooks: readonly WebhookSettings[], onDropped?: (event: string) => void) {
  const { log } = fixture.context;
  return new WebhookQueue({ queue, hooks, deployment: DEPLOYMENT, log, ...(onDropped && { onDropped }) });
}
const GIVEN_UP: Omit<WebhookBody, 'deployment'> = {
  id: 'app:giveup-0',
  event: 'given_up',
  atMs: NOW,
  text: 'app: index 0 is given up after 5 crashes',
  droplet: 'app',
  index: 0,
  version: 'v1',
  crashes: 5,
};
const outcomes = (labels: Record<string, string>) => metricValue(registry, 'hm_webhooks_total', labels);
const isIdle = async () => (await queue.getJobCountByTypes('waiting', 'active', 'delayed')) === 0;

describe('delivery', () => {
  test('a JSON POST to each receiver that wants the event', async () => {
    const other = hook(['hold_on'], '/other');
    const webhooks = start([hook(), other]);
    webhooks.add(GIVEN_UP);
    await expect.poll(() => received.length).toBe(1);
    const [{ path, headers, body }] = received as [Received];
    expect(path).toBe('/t0ken');
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringMatching(/^health-manager\/\d/),
    });
    expect(body).toEqual({ ...GIVEN_UP, deployment: DEPLOYMENT });
    await expect.poll(isIdle).toBe(true);
    expect(received).toHaveLength(1);
  });

  test('tried again after server errors, time-outs and lost connections, with the same id', async () => {
    answers = [500, 'hang', 429, 'close', 503];
    await start([hook()]).addAll(GIVEN_UP);
    await expect.poll(isIdle).toBe(true);
    expect(received).toHaveLength(6);
    expect(new Set(received.map(({ body }) => body.id))).toEqual(new Set([GIVEN_UP.id]));
    expect(await outcomes({ outcome: 'retried' })).toBe(5);
    expect(await outcomes({ outcome: 'sent' })).toBe(1);
  });

  test.each([400, 401, 404, 410, 'redirect'] as const)('not tried again after %s', async (status) => {
    answers = [status];
    start([hook()]).add(GIVEN_UP);
    await expect.poll(() => outcomes({ outcome: 'given_up' })).toBe(1);
    await expect.poll(isIdle).toBe(true);
    expect(received.map(({ path }) => path)).toEqual(['/t0ken']);
  });

  test('given up after the last try', async () => {
    answers = Array.from({ length: 50 }, () => 500);
    await start([hook()]).addAll(GIVEN_UP);
    await expect.poll(() => outcomes({ outcome: 'given_up' })).toBe(1);
    await expect.poll(isIdle).toBe(true);
    expect(received).toHaveLength(MAX_TRIES);
    expect(fixture.context.lines).toContainEqual(
      expect.objectContaining({ event: 'webhook_given_up', problem: 'HTTP 500', tries: MAX_TRIES }),
    );
  });

  test('a receiver that does not answer does not delay the others', async () => {
    answers = ['hang'];
    const webhooks = start([hook(undefined, '/slow'), hook(undefined, '/quick')]);
    await webhooks.addAll(GIVEN_UP);
    await expect.poll(isIdle).toBe(true);
    expect(received.map(({ path }) => path).sort()).toEqual(['/quick', '/slow', '/slow'].sort());
  });

  test('the token of a URL is in no job and in no log line', async () => {
    await webhookQueue([hook()]).addAll(GIVEN_UP);
    const [job] = await queue.getWaiting();
    expect(JSON.stringify(job?.asJSON())).not.toContain('t0ken');
    answers = [500, 404];
    start([hook()]);
    await expect.poll(isIdle).toBe(true);
    expect(JSON.stringify(fixture.context.lines)).not.toContain('t0ken');
  });

  test('a job for a receiver that is configured no more, and one that somebody edited, are dropped', async () => {
    await webhookQueue([hook(undefined, '/gone')]).addAll(GIVEN_UP);
    await queue.add('edited', { hook: hookId(hook()), body: { event: 'nonsense' } });
    start([hook()]);
    await expect.poll(isIdle).toBe(true);
    expect(received).toEqual([]);
    expect(await outcomes({ outcome: 'given_up' })).toBe(1);
  });

  test('no more than a bounded number waits; what is above is dropped and counted', async () => {
    const dropped: string[] = [];
    const webhooks = webhookQueue([hook()], (event) => dropped.push(event));
    for (let n = 0; n < MAX_WAITING; n += 100)
      await Promise.all(
        Array.from({ length: 100 }, (_, at) => webhooks.addAll({ ...GIVEN_UP, id: `e${n + at}` })),
      );
    await webhooks.addAll({ ...GIVEN_UP, id: 'one more' });
    expect(await queue.getWaitingCount()).toBe(MAX_WAITING);
    expect(dropped).toEqual(['given_up']);
  });
});

describe('alarms', () => {
  const off = (hold: Fleet['holds'][number]['hold']) => ({ hold, on: false, droplets: 0 });
  const working = (['ingest', 'sync', 'analyzer', 'nudger', 'reporter'] as const).map((kind) => ({
    kind,
    copies: 1,
    working: 1,
  }));
  const fleet = (over: Partial<Fleet> = {}): Fleet =>
    ({
      nowMs: NOW,
      holds: [off('mass_loss')],
      deas: { alive: 1, late: 0, leaving: 0, lost: 3, left: 0 },
      processes: { running: [], kinds: working, versions: [] },
      ...over,
    }) as unknown as Fleet;
  const massLoss = { hold: 'mass_loss', on: true, sinceMs: NOW - 5000, droplets: 4, silentDeas: 3 } as const;
  /** Two reporters of one deployment. */
  const reporters = () =>
    [hook(), hook()].map((one) => new Alarms(fixture.context.redis, webhookQueue([one])));
  const events = async () => {
    const jobs = await queue.getWaiting();
    const bodies = jobs.map(({ data }) => data.body as WebhookBody).sort((a, b) => a.atMs - b.atMs);
    await queue.obliterate({ force: true });
    return bodies;
  };

  test('a hold is reported once when it comes on and once when it ends, whichever reporter sees it', async () => {
    const [one, two] = reporters() as [Alarms, Alarms];
    await Promise.all([one.update(fleet()), two.update(fleet())]);
    expect(await events()).toEqual([]);
    const on = fleet({ holds: [massLoss] });
    await Promise.all([one.update(on), two.update(on)]);
    await one.update({ ...on, nowMs: NOW + 5000 });
    expect(await events()).toMatchObject([
      {
        ...{ event: 'hold_on', hold: 'mass_loss', sinceMs: NOW - 5000 },
        text: 'hold mass_loss is on: 3 of 4 DEAs went silent at once; a network failure is more likely than dead hosts',
      },
    ]);
    // Another process, after a restart of both.
    const [three, four] = reporters() as [Alarms, Alarms];
    const over = fleet({ nowMs: NOW + 9000 });
    await Promise.all([three.update(over), four.update(over)]);
    expect(await events()).toMatchObject([
      { event: 'hold_off', hold: 'mass_loss', text: 'hold mass_loss has ended' },
    ]);
  });

  test('each pause of an operator is reported with who and why', async () => {
    const [one] = reporters() as [Alarms];
    const hold = operatorHold({ id: 'h7', covers: 'starts' });
    const operator = { hold: 'operator', on: true, droplets: 0, operatorHolds: [hold] } as const;
    await one.update(fleet({ holds: [operator] }));
    expect(await events()).toMatchObject([
      {
        ...{ event: 'hold_on', hold: 'operator', holdId: 'h7' },
        text: expect.stringContaining('alice paused starts of everything until'),
      },
    ]);
    await one.update(fleet());
    expect(await events()).toMatchObject([{ event: 'hold_off', hold: 'operator', holdId: 'h7' }]);
  });

  test('a kind of process without a working copy', async () => {
    const [one] = reporters() as [Alarms];
    const kinds = working.map((of) =>
      of.kind === 'nudger' ? { ...of, copies: 0, working: 0, noneSinceMs: NOW - 22_000 } : of,
    );
    const processes = { running: [], kinds, versions: [] };
    await one.update(fleet({ processes }));
    await one.update(fleet({ processes, nowMs: NOW + 5000 }));
    const [event, ...more] = await events();
    expect(event).toMatchObject({
      event: 'no_process',
      process: 'nudger',
      text: expect.stringContaining('nudger'),
    });
    expect(more).toEqual([]);
    await one.update(fleet());
    expect(await events()).toEqual([]);
    await one.update(fleet({ processes }));
    expect(await events()).toHaveLength(1);
  });

  test('holds of single droplets are not reported', async () => {
    const [one] = reporters() as [Alarms];
    await one.update(fleet({ holds: [{ hold: 'update_required', on: true, droplets: 3 }] }));
    expect(await events()).toEqual([]);
  });
});
