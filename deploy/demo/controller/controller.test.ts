import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startNats, type TestNats } from '../../../common/testing/nats.ts';
import { type ControllerNews, LOCATE_SUBJECT, placeSubject, STOP_SUBJECT } from '../protocol.ts';
import { eventually, type Heard, listen } from '../testing/bus.ts';
import { type Controller, startController } from './controller.ts';

const APPS = 'apps: [{name: web, command: run web, instances: 2, version: v1}]';

let server: TestNats;
let dir: string;
let appsFile: string;
/** The test plays health manager and agents. */
let bus: NatsConnection;
let heard: Heard[];
let own: NatsConnection;
let controller: Controller;
let news: ControllerNews[];

beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server.stop());
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hm-controller-'));
  appsFile = join(dir, 'apps.yml');
  writeFileSync(appsFile, APPS);
  ({ nats: bus, heard } = await listen(server.url, 'droplet.updated', STOP_SUBJECT, LOCATE_SUBJECT));
  ({ nats: own } = await listen(server.url));
  news = [];
  controller = await startController({
    ...{ nats: own, partition: 'default', appsFile, heartbeatMs: 60_000, log: pino({ level: 'silent' }) },
    onNews: (item) => news.push(item),
  });
});
afterEach(async () => {
  await controller.close();
  await Promise.all([own.close(), bus.close()]);
  rmSync(dir, { recursive: true });
});

const told = <T extends ControllerNews['type']>(type: T, count = 1) =>
  eventually(`${count} of ${type}`, () => {
    const found = news.filter((item): item is Extract<ControllerNews, { type: T }> => item.type === type);
    return found.length >= count && found.at(-1);
  });
/** An agent that takes everything, and remembers what it took. */
async function agent(id: string, answer: object = { instance: `made by ${id}` }): Promise<unknown[]> {
  const taken: unknown[] = [];
  bus.subscribe(placeSubject(id), {
    callback: (_, message) => {
      taken.push(message.json());
      message.respond(JSON.stringify(answer));
    },
  });
  bus.publish('dea.heartbeat', JSON.stringify({ droplets: [], dea: id }));
  await bus.flush();
  await own.flush();
  return taken;
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

test('an accepted start is placed on an agent, with the command', async () => {
  const taken = await agent('a');
  start();
  await told('placed');
  expect(taken).toEqual([{ droplet: 'web', version: 'v1', index: 1, command: 'run web' }]);
  expect(controller.refusals.size).toBe(0);
});

test('starts that come together are spread', async () => {
  const [a, b] = [await agent('a'), await agent('b')];
  start({ indices: [0], running: {} });
  start({ indices: [1], running: {} });
  await told('placed', 2);
  expect([a.length, b.length]).toEqual([1, 1]);
});

test('an agent that is gone or takes none is passed over', async () => {
  await agent('a', { refused: 'leaving' });
  bus.publish('dea.heartbeat', JSON.stringify({ droplets: [], dea: 'b' }));
  const c = await agent('c');
  start();
  expect(await told('placed')).toMatchObject({ agent: 'c' });
  expect(c).toHaveLength(1);
});

test('without an agent the start comes to nothing, and that is told', async () => {
  start();
  expect(await told('unplaced')).toMatchObject({ droplet: 'web', index: 1 });
});

test('refusals are counted with their reasons, and nothing is done', async () => {
  const taken = await agent('a');
  start({ version: 'v0' });
  start({ version: 'v0' });
  start({ indices: [2] });
  const stop = { droplet: 'web', last_updated: 1, instances: { a: 'v1' }, running: { v1: 2 }, version: 'v1' };
  bus.publish('health.stop', JSON.stringify(stop));
  await told('stop');
  expect(Object.fromEntries(controller.refusals)).toEqual({
    'not the current version': 2,
    'index out of range': 1,
    'too few instances of the current version would be left': 1,
  });
  expect(taken).toEqual([]);
  expect(heard.map(({ subject }) => subject)).not.toContain(STOP_SUBJECT);
});

test('an accepted stop goes to the agents', async () => {
  const stop = { droplet: 'web', last_updated: 1, instances: { b: 'v1' }, running: { v1: 3 }, version: 'v1' };
  bus.publish('health.stop', JSON.stringify(stop));
  const sent = await eventually('the stop', () => heard.find(({ subject }) => subject === STOP_SUBJECT));
  expect(sent.value).toEqual({ instances: ['b'] });
});

test('what cannot be read is told, and changes nothing', async () => {
  bus.publish('health.start', '{');
  expect(await told('malformed')).toMatchObject({ subject: 'health.start' });
  start({ indices: [0, 1] });
  expect(await told('malformed', 2)).toMatchObject({ why: expect.stringContaining('indices') });
});

test('whoever asks for the credentials can read the bulk API with them', async () => {
  const reply = await bus.request('cloudcontroller.bulk.credentials.default', '');
  const { user, password } = reply.json() as { user: string; password: string };
  const response = await fetch(`http://127.0.0.1:${controller.port}/bulk/apps`, {
    headers: { authorization: `Basic ${btoa(`${user}:${password}`)}`, connection: 'close' },
  });
  expect(await response.json()).toMatchObject({ results: { web: { instances: 2, version: 'v1' } } });
});

test('a change of the file is told once for each app that it changes', async () => {
  writeFileSync(appsFile, `${APPS.slice(0, -1)}, {name: api, command: x}]`);
  await told('apps', 2);
  writeFileSync(appsFile, 'apps: [{name: api, command: x}]');
  expect(await told('apps', 3)).toMatchObject({ changed: ['web'] });
  const updates = await eventually('two updates', () => {
    const found = heard.filter(({ subject }) => subject === 'droplet.updated');
    return found.length === 2 && found;
  });
  expect(updates.map(({ text }) => text)).toEqual([
    '{"droplet":"api","cc_partition":"default"}',
    '{"droplet":"web","cc_partition":"default"}',
  ]);
});

test('a broken file is told, and the last good one stands', async () => {
  const taken = await agent('a');
  writeFileSync(appsFile, 'apps: nonsense');
  await told('file');
  start();
  await told('placed');
  expect(taken).toHaveLength(1);
  expect(heard.map(({ subject }) => subject)).not.toContain('droplet.updated');
});

test('a controller that begins asks who is there', async () => {
  await eventually('that', () => heard.some(({ subject }) => subject === LOCATE_SUBJECT));
});
