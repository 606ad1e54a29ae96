import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../common/messages/subjects.ts';
import { type Certificate, createAuthority } from '../../common/testing/certificates/issue.ts';
import { metricValue, recordOf, type TestContext, testContext } from '../../common/testing/context.ts';
import { startNats, type TestNats } from '../../common/testing/nats/server.ts';
import { startTestRedis, type TestRedis } from '../../common/testing/redis/server.ts';
import { entry, heartbeatBytes } from '../../deploy/verify/fixtures/heartbeats.ts';
import { type Ingest, startIngest } from '../main.ts';
import { HeartbeatServer, readFiles } from './server.ts';

let dir: string;
let redis: TestRedis;
let nats: TestNats;
let context: TestContext;
let ingest: Ingest;
let ca: string;
let server: Certificate;
let clients: Record<'right' | 'expired' | 'stranger', Certificate>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hm-heartbeat-api-'));
  const [own, other] = [createAuthority(dir, 'own'), createAuthority(dir, 'other')];
  ca = own.ca;
  server = own.issue('server');
  clients = {
    right: own.issue('dea'),
    expired: own.issue('expired', { isExpired: true }),
    stranger: other.issue('stranger'),
  };
  [redis, nats] = await Promise.all([startTestRedis(), startNats()]);
});
afterAll(async () => {
  await Promise.all([redis?.stop(), nats?.stop()]);
  rmSync(dir, { recursive: true, force: true });
});
const api = () => ({ host: '127.0.0.1', port: 0, certFile: server.cert, keyFile: server.key, caFile: ca });

interface Sending {
  /** null: no certificate. */
  as?: Certificate | null;
  path?: string;
  /** The length that the header names, if the body does not follow. */
  length?: number;
}

/** Sends a heartbeat as a DEA does. @returns status and text of the answer */
async function post(
  port: number | undefined,
  body: Uint8Array | string,
  { as = clients.right, path = '/dea/heartbeat', length }: Sending = {},
): Promise<[status: number | undefined, body: string]> {
  const own = as && { cert: readFileSync(as.cert), key: readFileSync(as.key) };
  const agent = new Agent({ ca: readFileSync(ca), ...own });
  const headers = { 'content-length': length ?? Buffer.byteLength(body) };
  const sent = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers });
  if (length === undefined) sent.end(body);
  else sent.flushHeaders();
  const [reply] = await once(sent, 'response');
  const said = await text(reply);
  agent.destroy();
  return [reply.statusCode, said];
}

describe('POST /dea/heartbeat', () => {
  beforeEach(async () => {
    const settings = { dialect: 'hm9000-http' as const, heartbeatApi: api() };
    context = await testContext({ redis, nats, settings });
    await context.redis.client.flushall();
    ingest = await startIngest(context);
  });
  afterEach(() => context.lifecycle.stop());
  const instances = async (droplet: string) =>
    Object.keys(await recordOf(context.redis, droplet)).filter((field) => field.includes('i-'));
  const send = (body: Uint8Array | string, sending?: Sending) => post(ingest.heartbeatPort, body, sending);

  test('is answered with 202 when it is stored', async () => {
    expect(await send(heartbeatBytes('dea-1', [entry('web', 'i-1')]))).toEqual([202, 'stored\n']);
    expect(await instances('web')).toHaveLength(1);
    expect(await context.redis.client.zscore(context.redis.keys.deasLastHeartbeat, 'dea-1')).not.toBeNull();
  });

  test('that is equal takes the path of the digest', async () => {
    const heartbeat = heartbeatBytes('dea-1', [entry('web', 'i-1')]);
    await send(heartbeat);
    context.clock.advance(10_000);
    expect(await send(heartbeat)).toEqual([202, 'stored\n']);
    expect(await metricValue(context.metrics, 'hm_heartbeats_equal_total')).toBe(1);
    expect(await metricValue(context.metrics, 'hm_heartbeats_changed_total')).toBe(1);
    expect(await context.redis.client.zscore(context.redis.keys.deasLastHeartbeat, 'dea-1')).toBe(
      String(context.clock.nowMs()),
    );
  });

  test.each([
    ['no JSON', 'web runs'],
    ['the id of a DEA behind garbage', '{"droplets":[{]],"dea":"dea-1"}'],
    ['no DEA', '{"droplets":[]}'],
    ['nothing', ''],
  ])('with %s is answered with 400', async (_, body) => {
    expect(await send(body)).toEqual([400, expect.stringContaining('expected a heartbeat')]);
    expect(await context.redis.client.zcard(context.redis.keys.deasLastHeartbeat)).toBe(0);
  });

  test('too large is answered with 413 before it is read', async () => {
    expect((await send('', { length: 4 * 1024 * 1024 + 1 }))[0]).toBe(413);
  });

  test.each([
    ['without a certificate', 401, () => null],
    ['with one of another CA', 403, () => clients.stranger],
    ['with an expired one', 403, () => clients.expired],
  ])('%s is answered with %d, and not stored', async (_, status, as) => {
    const reply = await send(heartbeatBytes('dea-1', [entry('web', 'i-1')]), { as: as() });
    expect(reply).toEqual([status, expect.stringContaining('client certificate')]);
    await ingest.idle();
    expect(await instances('web')).toEqual([]);
    expect(context.lines.map(({ event }) => event)).toContain('heartbeat_request_refused');
    const counted = () =>
      metricValue(context.metrics, 'hm_heartbeat_requests_total', { status: String(status) });
    await expect.poll(counted).toBe(1);
  });

  test('of one DEA, two at once: both are answered, and the newer one counts', async () => {
    const [older, newer] = [
      heartbeatBytes('dea-1', [entry('web', 'i-1')]),
      heartbeatBytes('dea-1', [entry('web', 'i-2')]),
    ];
    const first = send(older);
    await expect.poll(() => metricValue(context.metrics, 'hm_heartbeats_received_total')).toBe(1);
    context.clock.advance(1);
    expect(await Promise.all([first, send(newer)])).toEqual([
      [202, 'stored\n'],
      [202, 'stored\n'],
    ]);
    expect((await instances('web')).join()).toContain('i-2');
  });

  test('is not the only way: heartbeats still come over NATS', async () => {
    const bus = await context.connectBus();
    bus.publish(SUBJECTS.heartbeat, heartbeatBytes('dea-2', [entry('api', 'i-3')]).toString());
    await expect.poll(() => instances('api')).toHaveLength(1);
  });

  test('elsewhere is answered with 404', async () => {
    expect((await send('{}', { path: '/' }))[0]).toBe(404);
  });
});

describe('the answer', () => {
  const LOST_MS = 1_200;
  let settles: ((outcome: 'stored' | 'invalid' | 'not_stored') => void)[];
  let isFresh: boolean;
  let served: HeartbeatServer;

  beforeEach(async () => {
    [settles, isFresh] = [[], true];
    context = await testContext({ redis, nats });
    served = new HeartbeatServer({
      ...{ settings: api(), clock: context.clock, log: context.log, lifecycle: context.lifecycle },
      metrics: { heartbeatRequests: { inc: () => undefined } } as never,
      dropletLostMs: LOST_MS,
      isFresh: () => isFresh,
      take: (_, settle) => settles.push(settle),
    });
    await served.start();
  });
  afterEach(() => context.lifecycle.stop());
  const heartbeat = heartbeatBytes('dea-1', []);

  test('comes only when the heartbeat is settled', async () => {
    let answered: unknown;
    const reply = post(served.port, heartbeat).then((got) => {
      answered = got;
    });
    await expect.poll(() => settles).toHaveLength(1);
    expect(answered).toBeUndefined();
    settles[0]?.('stored');
    await reply;
    expect(answered).toEqual([202, 'stored\n']);
  });

  test('is 503 when the heartbeat is not stored in half a heartbeat period, or cannot be', async () => {
    expect((await post(served.port, heartbeat))[0]).toBe(503);
    const refused = post(served.port, heartbeat);
    await expect.poll(() => settles).toHaveLength(2);
    settles[1]?.('not_stored');
    expect((await refused)[0]).toBe(503);
  });

  test('is 503 from a process that was stopped, which may have read it late', async () => {
    isFresh = false;
    expect((await post(served.port, heartbeat))[0]).toBe(503);
    expect(settles).toEqual([]);
  });

  test('still comes when the process stops meanwhile', async () => {
    const reply = post(served.port, heartbeat);
    await expect.poll(() => settles).toHaveLength(1);
    const stopped = context.lifecycle.stop();
    settles[0]?.('stored');
    expect((await reply)[0]).toBe(202);
    await stopped;
  });

  test('is for DEAs of the CA that the files have now', async () => {
    const other = createAuthority(dir, 'next');
    const next = join(dir, 'next-ca.pem');
    copyFileSync(other.ca, next);
    served.useCertificates(readFiles({ ...api(), caFile: next }));
    expect((await post(served.port, heartbeat))[0]).toBe(403);
    const admitted = post(served.port, heartbeat, { as: other.issue('dea') });
    await expect.poll(() => settles).toHaveLength(1);
    settles[0]?.('stored');
    expect((await admitted)[0]).toBe(202);
  });
});
