import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startNats, type TestNats } from '../../../common/testing/nats/server.ts';
import { type ControllerEvent, LOCATE_SUBJECT, placeSubject, STOP_SUBJECT } from '../protocol.ts';
import { eventually, listen, type Received } from '../testing/bus.ts';
import { type Controller, startController } from './controller.ts';

const APPS = 'apps: [{name: web, command: run web, instances: 2, version: v1}]';

let server: TestNats;
let dir: string;
let appsFile: string;
/** The connection of the test, in the roles of the health manager and the DEAs. */
let bus: NatsConnection;
let received: Received[];
let own: NatsConnection;
let controller: Controller;
let events: ControllerEvent[];

beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server.stop());
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hm-controller-'));
  appsFile = join(dir, 'apps.yml');
  writeFileSync(appsFile, APPS);
  ({ nats: bus, received } = await listen(server.url, 'droplet.updated', STOP_SUBJECT, LOCATE_SUBJECT));
  ({ nats: own } = await listen(server.url));
  events = [];
  controller = await startController({
    ...{ nats: own, partition: 'default', appsFile, heartbeatMs: 60_000, log: pino({ level: 'silent' }) },
    onEvent: (event) => events.push(event),
  });
});
afterEach(async () => {
  await controller.close();
  await Promise.all([own.close(), bus.close()]);
  rmSync(dir, { recursive: true });
});

const emitted = <T extends ControllerEvent['type']>(type: T, count = 1) =>
  eventually(`${count} of ${type}`, () => {
    const found = events.filter(
      (event): event is Extract<ControllerEvent, { type: T }> => event.type === type,
    );
    return found.length >= count && found.at(-1);
  });
/** A DEA that answers every start. @returns the requests that it received */
async function dea(id: string, answer: object = { instance: `made by ${id}` }): Promise<unknown[]> {
  const requests: unknown[] = [];
  bus.subscribe(placeSubject(id), {
    callback: (_, message) => {
      requests.push(message.json());
      message.respond(JSON.stringify(answer));
    },
  });
  bus.publish('dea.heartbeat', JSON.stringify({ droplets: [], dea: id }));
  await bus.flush();
  await own.flush();
  return requests;
}
const start = (changes: object = {}) =>
  bus.publish(
    'health.start',
    JSON.stringify({
      ...{
        droplet: 'web',
        last_updated: 1,
        version: 'v1',
        indices: [1],
        running: { v1: 1 },
        flapping: false,
      },
      ...changes,
    }),
  );

test('an accepted start goes to a DEA with the command', async () => {
  const requests = await dea('a');
  start();
  await emitted('placed');
  expect(requests).toEqual([{ droplet: 'web', version: 'v1', index: 1, command: 'run web' }]);
  expect(controller.refusals.size).toBe(0);
});

test('simultaneous starts are spread over the DEAs', async () => {
  const [a, b] = [await dea('a'), await dea('b')];
  start({ indices: [0], running: {} });
  start({ indices: [1], running: {} });
  await emitted('placed', 2);
  expect([a.length, b.length]).toEqual([1, 1]);
});

test('a DEA that refuses or does not answer is skipped', async () => {
  await dea('a', { refused: 'leaving' });
  bus.publish('dea.heartbeat', JSON.stringify({ droplets: [], dea: 'b' }));
  const c = await dea('c');
  start();
  expect(await emitted('placed')).toMatchObject({ dea: 'c' });
  expect(c).toHaveLength(1);
});

test('a start without a live DEA is reported as unplaced', async () => {
  start();
  expect(await emitted('unplaced')).toMatchObject({ droplet: 'web', index: 1 });
});

test('refused requests are counted by reason and not carried out', async () => {
  const requests = await dea('a');
  start({ version: 'v0' });
  start({ version: 'v0' });
  start({ indices: [2] });
  const stop = { droplet: 'web', last_updated: 1, instances: { a: 'v1' }, running: { v1: 2 }, version: 'v1' };
  bus.publish('health.stop', JSON.stringify(stop));
  await emitted('stop');
  expect(Object.fromEntries(controller.refusals)).toEqual({
    'not the current version': 2,
    'index out of range': 1,
    'too few instances of the current version would be left': 1,
  });
  expect(requests).toEqual([]);
  expect(received.map(({ subject }) => subject)).not.toContain(STOP_SUBJECT);
});

test('an accepted stop goes to the DEAs', async () => {
  const stop = { droplet: 'web', last_updated: 1, instances: { b: 'v1' }, running: { v1: 3 }, version: 'v1' };
  bus.publish('health.stop', JSON.stringify(stop));
  const sent = await eventually('the stop', () => received.find(({ subject }) => subject === STOP_SUBJECT));
  expect(sent.value).toEqual({ instances: ['b'] });
});

test('malformed requests are reported and change nothing', async () => {
  bus.publish('health.start', '{');
  expect(await emitted('malformed')).toMatchObject({ subject: 'health.start' });
  start({ indices: [0, 1] });
  expect(await emitted('malformed', 2)).toMatchObject({ why: expect.stringContaining('indices') });
});

test('the credentials sent over NATS open the bulk API', async () => {
  const reply = await bus.request('cloudcontroller.bulk.credentials.default', '');
  const { user, password } = reply.json() as { user: string; password: string };
  const response = await fetch(`http://127.0.0.1:${controller.port}/bulk/apps`, {
    headers: { authorization: `Basic ${btoa(`${user}:${password}`)}`, connection: 'close' },
  });
  expect(await response.json()).toMatchObject({ results: { web: { instances: 2, version: 'v1' } } });
});

test('a change of the file publishes droplet.updated once for each changed app', async () => {
  writeFileSync(appsFile, `${APPS.slice(0, -1)}, {name: api, command: x}]`);
  await emitted('apps', 2);
  writeFileSync(appsFile, 'apps: [{name: api, command: x}]');
  expect(await emitted('apps', 3)).toMatchObject({ changed: ['web'] });
  const updates = await eventually('two updates', () => {
    const found = received.filter(({ subject }) => subject === 'droplet.updated');
    return found.length === 2 && found;
  });
  expect(updates.map(({ text }) => text)).toEqual([
    '{"droplet":"api","cc_partition":"default"}',
    '{"droplet":"web","cc_partition":"default"}',
  ]);
});

test('an invalid apps file is reported, and the last valid one stays in force', async () => {
  const requests = await dea('a');
  writeFileSync(appsFile, 'apps: nonsense');
  await emitted('file');
  start();
  await emitted('placed');
  expect(requests).toHaveLength(1);
  expect(received.map(({ subject }) => subject)).not.toContain('droplet.updated');
});

test('a controller that starts asks all DEAs for a heartbeat', async () => {
  await eventually('the request', () => received.some(({ subject }) => subject === LOCATE_SUBJECT));
});
