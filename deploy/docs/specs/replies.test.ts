/** What the code replies and sends has exactly the fields of the specifications. */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hm9000Start, hm9000Stop } from '../../../common/messages/dialects/hm9000.ts';
import { startMessage, stopMessage } from '../../../common/messages/outgoing.ts';
import type { LogEntry } from '../../../common/model/decision-log.ts';
import type { OperatorHold } from '../../../common/model/operator-hold.ts';
import { storeProcess } from '../../../common/redis/fleet/processes/processes.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  instance,
  NOW,
  SECOND,
  SETTINGS,
  slot,
} from '../../../common/testing/builders.ts';
import type { AppPage } from '../../../common/views/apps/app-list-types.ts';
import { dropletJson } from '../../../common/views/droplet/droplet-json.ts';
import type { DeaPage, DecisionPage, DropletPage, LiveEvents } from '../../../reporter/api/types.ts';
import { ask, type Bench, STATUS, startBench, store } from '../../verify/fixtures/reporter.ts';
import { CHANNELS } from './channels.ts';
import { PATHS } from './paths.ts';
import * as act from './replies/acts.ts';
import { DROPLET_REPLY } from './replies/droplet.ts';
import type { LIVE_EVENTS } from './replies/live.ts';
import type * as page from './replies/pages.ts';
import { compareFields } from './testing/fields.ts';

/** A type by its fields alone: optional or not, and whatever their values are. */
type Shape<T> = T extends readonly (infer I)[]
  ? Shape<I>[]
  : T extends object
    ? { [K in keyof T]-?: Shape<NonNullable<T[K]>> }
    : 'value';
type Same<A, B> = [Shape<A>] extends [Shape<B>] ? ([Shape<B>] extends [Shape<A>] ? true : false) : false;

/** The compiler refuses `true` where a field of the code's type is missing in the schema, or the reverse. */
test('the schemas of the pages have the fields of their types', () => {
  const same: [
    Same<Static<typeof page.APPS_REPLY>, AppPage>,
    Same<Static<typeof page.STORY_REPLY>, DropletPage>,
    Same<Static<typeof page.DEA_REPLY>, DeaPage>,
    Same<Static<typeof page.DECISION_LINES>, DecisionPage>,
    Same<Static<typeof page.LOG_ENTRY>, LogEntry>,
    Same<Static<typeof act.OPERATOR_HOLD>, OperatorHold>,
    Same<Static<typeof LIVE_EVENTS>, LiveEvents>,
  ] = [true, true, true, true, true, true, true];
  expect(same).not.toContain(false);
});

/** Every field of the schema is in one of the values, and no other. */
function expectExactly(schema: TSchema, values: readonly unknown[]): void {
  for (const value of values) expect(Compile(schema).Errors(value)).toEqual([]);
  expect(compareFields(schema, values)).toEqual({ undocumented: [], unseen: [] });
}

/** The record of an app in which something of every kind is going on. */
const eventful = droplet({
  id: 'app',
  updatedMs: NOW - 5 * SECOND,
  goneMs: NOW - SECOND,
  desired: desired({ instances: 4 }),
  instances: [instance('i-0'), instance('i-9', { index: 9 })],
  exits: [exit('i-1', { index: 1, status: 137, description: 'out of memory' })],
  slots: [
    slot({
      ...{ index: 1, crashes: 2, flapping: true, lastCrashMs: NOW, held: 'operator' },
      ...{ attempts: 3, retryMs: NOW + SECOND },
      start: { id: 's1', reason: 'flapping', priority: 'high', decidedMs: NOW, dueMs: NOW + SECOND },
    }),
    slot({ index: 2, start: { id: 's2', reason: 'missing', priority: 'normal', decidedMs: NOW } }),
  ],
  stops: [
    { instance: 'i-9', id: 't1', reason: 'extra_index', decidedMs: NOW },
    { instance: 'i-8', id: 't2', reason: 'extra_app', decidedMs: NOW, held: 'mass_delete' },
  ],
  outcomes: ['s1', 's2', 't1'].map((id) => ({ id, outcome: 'sent' as const, atMs: NOW })),
});

test('the record of an app', () => {
  const view = {
    droplet: eventful,
    deas: deas(),
    nowMs: NOW,
    lostBeforeMs: NOW - 30 * SECOND,
    settings: SETTINGS,
  };
  const records = [eventful, droplet({ desired: undefined })].map((one) =>
    dropletJson({ ...view, droplet: one }),
  );
  const { undocumented, unseen } = compareFields(DROPLET_REPLY, JSON.parse(JSON.stringify(records)));
  // A restart of a flapping slot and any other start have one form; only the first has a time at which it is due.
  expect({ undocumented, unseen }).toEqual({ undocumented: [], unseen: ['.pending_starts[].dueMs'] });
  for (const record of records)
    expect(Compile(DROPLET_REPLY).Errors(JSON.parse(JSON.stringify(record)))).toEqual([]);
});

test('starts and stops, with each dialect', () => {
  const start = {
    ...{ droplet: 'd', updatedAtS: 1, version: 'v', index: 2 },
    ...{ running: [['v', 1]] as const, flapping: true },
  };
  const stop = {
    ...{ droplet: 'd', updatedAtS: undefined, version: undefined, running: [['v', 1]] as const, index: 0 },
    instances: [['i', 'v']] as const,
  };
  expectExactly(CHANNELS.start.payload, [JSON.parse(startMessage(start))]);
  expectExactly(CHANNELS.stop.payload, [JSON.parse(stopMessage(stop))]);
  expectExactly(CHANNELS.hm9000Start.payload, [JSON.parse(hm9000Start(start, 'id'))]);
  expectExactly(CHANNELS.hm9000Stop.payload, [JSON.parse(hm9000Stop(stop, 'duplicate', 'id'))]);
});

describe('a reporter', () => {
  let bench: Bench;
  let nats: Bench;
  beforeAll(async () => {
    [bench, nats] = await Promise.all([
      startBench(NOW, STATUS, 'hm9000-http'),
      startBench(NOW, STATUS, 'hm9000-nats'),
    ]);
    for (const { context } of [bench, nats]) {
      const { client, keys } = context.redis;
      await client.hset(keys.listening, { since: NOW - 600_000, until: NOW });
      await client.hset(keys.syncState, {
        completed: NOW,
        succeeded: NOW,
        listed: 1,
        rejected: 0,
        duration: 5,
      });
      const copy = { host: 'vm-1', pid: 7, version: '1.0.0', sinceMs: NOW, lagMs: 0, seenMs: NOW };
      await storeProcess(context.redis, 'a', { ...copy, kind: 'analyzer', lastWorkMs: NOW });
      await storeProcess(context.redis, 'b', {
        ...copy,
        kind: 'nudger',
        problems: { nats: 'not connected' },
      });
      await client.zadd(keys.deasLastHeartbeat, NOW - 2_000, 'dea-1');
      await store(context.redis, { ...eventful, goneMs: undefined } as unknown as typeof eventful);
    }
  });
  afterAll(() => Promise.all([bench.stop(), nats.stop()]));

  async function http(method: string, path: string, body?: unknown) {
    const authorization = `Basic ${Buffer.from(`${STATUS.user}:${STATUS.password}`).toString('base64')}`;
    const reply = await fetch(`http://127.0.0.1:${bench.reporter.port}${path}`, {
      method,
      headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: reply.status, body: (await reply.json()) as unknown };
  }

  const schemaOf = (method: string, path: string): TSchema => {
    const found = PATHS.find((one) => one.path === path && one.method === method);
    if (found?.reply === undefined) throw new Error(`${path}: expected a documented reply`);
    return found.reply;
  };

  const APP = { droplet: 'app', version: 'v1' };
  test.each<[name: keyof typeof CHANNELS, requests: unknown[]]>([
    [
      'statusRequest',
      [
        { ...APP, state: 'FLAPPING' },
        { ...APP, state: 'CRASHED' },
      ],
    ],
    ['healthRequest', [{ droplets: [APP] }]],
    ['appState', [APP, { ...APP, droplet: 'unknown' }]],
    ['appStateBulk', [[APP]]],
  ])('replies on %s', async (name, requests) => {
    const { subject, reply } = CHANNELS[name];
    const replies: unknown[] = [];
    for (const request of requests) replies.push(...(await ask(nats, subject, request)));
    expectExactly(reply?.payload as TSchema, replies);
  });

  test('announces itself', async () => {
    const reply = await bench.bus.request(CHANNELS.discover.subject, '', { timeoutMs: 5_000 });
    expectExactly(CHANNELS.announce.payload, [reply.json()]);
  });

  test('the acts of an operator', async () => {
    const holds = [
      await http('post', '/api/holds', { covers: 'all', why: 'x', droplet: 'app' }),
      await http('post', '/api/holds', { covers: 'starts', why: 'x', dea: 'dea-1' }),
    ];
    expect(holds.map(({ status }) => status)).toEqual([201, 201]);
    expectExactly(
      schemaOf('post', '/api/holds'),
      holds.map(({ body }) => body),
    );

    const fleet = await http('get', '/api/fleet');
    const [first] = holds.map(({ body }) => body as OperatorHold);
    const ended = await http('post', `/api/holds/operator/${first?.id}/end`);
    expect(
      compareFields(schemaOf('post', '/api/holds/operator/{id}/end'), [ended.body]).undocumented,
    ).toEqual([]);
    expectExactly(schemaOf('post', '/api/sync'), [(await http('post', '/api/sync')).body]);
    expectExactly(schemaOf('post', '/api/retry'), [
      (await http('post', '/api/retry', { droplet: 'app' })).body,
    ]);
    const preview = await http('get', '/api/holds/mass_loss/release');
    expectExactly(schemaOf('get', '/api/holds/{hold}/release'), [preview.body]);
    const { undocumented, unseen } = compareFields(schemaOf('get', '/api/fleet'), [fleet.body]);
    expect([undocumented, unseen]).toEqual([[], []]);
  });

  test.each([
    ['/varz', '/varz'],
    ['/api', '/api'],
    ['/api/apps', '/api/apps?problem=any'],
    ['/api/droplets/{guid}', '/api/droplets/app'],
    ['/api/stories/{guid}', '/api/stories/app'],
    ['/api/deas/{guid}', '/api/deas/dea-1'],
    ['/api/decisions', '/api/decisions'],
    ['/api/decisions', '/api/decisions?format=json'],
  ])('%s has no other field: %s', async (path, url) => {
    const { status, body } = await http('get', url);
    expect(status).toBe(200);
    const schema = schemaOf('get', path);
    expect(Compile(schema).Errors(body)).toEqual([]);
    const { undocumented, unseen } = compareFields(schema, [body]);
    expect(undocumented).toEqual([]);
    // Those of the others are compared with their types, and with a record of every kind, above.
    if (path === '/varz' || path === '/api') expect(unseen).toEqual([]);
  });

  test('POST /bulk_app_state', async () => {
    const { body } = await http('post', '/bulk_app_state', [APP]);
    expectExactly(schemaOf('post', '/bulk_app_state'), [body]);
  });

  test.each<[string, string, number, unknown?]>([
    ['get', '/api/droplets/unknown', 404],
    ['get', '/api/apps?limit=x', 400],
    ['post', '/api/holds', 400, {}],
    ['post', '/api/holds/mass_loss/release', 409],
    ['post', '/bulk_app_state', 400, {}],
  ])('an error: %s %s %i', async (method, path, status, sent) => {
    const reply = await http(method, path, sent);
    expect(reply.status).toBe(status);
    expectExactly(act.ERROR, [reply.body]);
  });

  test.each([
    ['/varz', {}, 401],
    ['/bulk_app_state', { method: 'post', body: '{', type: 'application/json' }, 400],
  ])(
    'an error of the server itself is text: %s',
    async (path, { type, ...request }: Record<string, string>, status) => {
      const login = Buffer.from(`${STATUS.user}:${STATUS.password}`).toString('base64');
      const headers: Record<string, string> = type
        ? { 'content-type': type, authorization: `Basic ${login}` }
        : {};
      const reply = await fetch(`http://127.0.0.1:${bench.reporter.port}${path}`, { ...request, headers });
      expect([reply.status, reply.headers.get('content-type')]).toEqual([
        status,
        expect.stringMatching('text/plain'),
      ]);
      expect(await reply.text()).not.toBe('');
    },
  );
});
