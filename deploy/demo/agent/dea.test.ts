import type { NatsConnection } from 'nats';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startNats, type TestNats } from '../../../common/testing/nats/server.ts';
import { isAlive } from '../../run/launcher/process-table.ts';
import { type InstanceView, placeSubject, STOP_SUBJECT } from '../protocol.ts';
import { eventually, listen, type Received } from '../testing/bus.ts';
import { Dea, type DeaOptions } from './dea.ts';

const LOOP = 'while :; do sleep 1; done';

let server: TestNats;
let bus: NatsConnection;
let received: Received[];
let own: NatsConnection;
let dea: Dea;
let instances: InstanceView[];
/** Pids of all processes that the DEA started. */
let pids: Set<number>;

beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server.stop());
beforeEach(async () => {
  ({ nats: bus, received } = await listen(server.url, 'dea.*', 'droplet.exited'));
  ({ nats: own } = await listen(server.url));
  instances = [];
  pids = new Set();
});
afterEach(async () => {
  await dea.shutdown();
  await eventually('no process is left', () => ![...pids].some(isAlive));
  await Promise.all([own.close(), bus.close()]);
});

async function run(changes: Partial<DeaOptions> = {}): Promise<void> {
  dea = new Dea({
    ...{ nats: own, partition: 'default', heartbeatMs: 25, startingMs: 30, log: pino({ level: 'silent' }) },
    onInstances(now) {
      instances = now;
      for (const { pid } of now) if (pid !== undefined) pids.add(pid);
    },
    onEvacuating: () => {},
    ...changes,
  });
  await dea.start();
}

/** @returns the instance's guid */
async function place(command = LOOP, index = 0): Promise<string> {
  const request = { droplet: 'web', version: 'v1', index, command };
  const reply = await bus.request(placeSubject(dea.id), JSON.stringify(request));
  return (reply.json() as { instance: string }).instance;
}
const entries = (heartbeat: Received) => heartbeat.value.droplets as Record<string, unknown>[];
const heartbeats = () => received.filter(({ subject }) => subject === 'dea.heartbeat');
const exits = () => received.filter(({ subject }) => subject === 'droplet.exited').map(({ value }) => value);
const listed = (guid: string, state: string) =>
  eventually(`${guid} is listed as ${state}`, () =>
    heartbeats().find((heartbeat) =>
      entries(heartbeat).some((entry) => entry.instance === guid && entry.state === state),
    ),
  );
const exit = (guid: string) =>
  eventually(`the exit of ${guid}`, () => exits().find(({ instance }) => instance === guid));
const stop = (...guids: string[]) => bus.publish(STOP_SUBJECT, JSON.stringify({ instances: guids }));
const pidOf = (guid: string) => instances.find((instance) => instance.guid === guid)?.pid ?? 0;

test('a DEA without instances sends heartbeats', async () => {
  await run();
  const [first] = await eventually('a heartbeat', () => heartbeats().length > 0 && heartbeats());
  expect(first?.text).toBe(`{"droplets":[],"dea":"${dea.id}"}`);
});

test('heartbeats have the format of the contract and list an instance as STARTING, then RUNNING', async () => {
  await run();
  const guid = await place();
  await listed(guid, 'STARTING');
  const { text, value } = await listed(guid, 'RUNNING');
  const [entry] = value.droplets as { state_timestamp: number }[];
  expect(text).toBe(
    `{"droplets":[{"cc_partition":"default","droplet":"web","version":"v1","instance":"${guid}","index":0,` +
      `"state":"RUNNING","state_timestamp":${entry?.state_timestamp}}],"dea":"${dea.id}"}`,
  );
  expect(isAlive(pidOf(guid))).toBe(true);
});

test('heartbeats of an unchanged DEA are equal byte for byte', async () => {
  await run();
  const guids = await Promise.all([place(LOOP, 0), place(LOOP, 1), place(LOOP, 2)]);
  for (const guid of guids) await listed(guid, 'RUNNING');
  const before = heartbeats().length;
  const later = await eventually(
    'two more',
    () => heartbeats().length > before + 2 && heartbeats().slice(before),
  );
  expect(new Set(later.map(({ text }) => text)).size).toBe(1);
});

test('healthmanager.start triggers a heartbeat at once', async () => {
  await run({ heartbeatMs: 3_600_000 });
  await eventually('the first', () => heartbeats().length === 1);
  bus.publish('healthmanager.start', '{}');
  await eventually('the second', () => heartbeats().length === 2);
});

test('kill -9 is a crash, and heartbeats list the crashed instance under a new guid for a while', async () => {
  await run({ crashedForMs: 100 });
  const guid = await place(LOOP, 4);
  await listed(guid, 'RUNNING');
  process.kill(pidOf(guid), 'SIGKILL');
  expect(await exit(guid)).toEqual({
    ...{
      cc_partition: 'default',
      droplet: 'web',
      version: 'v1',
      instance: guid,
      index: 4,
      reason: 'CRASHED',
    },
    ...{ exit_status: null, exit_description: 'ended by SIGKILL', crash_timestamp: expect.any(Number) },
  });
  const [crashed] = await eventually('the CRASHED one', () => {
    const [last] = heartbeats().slice(-1);
    return last && entries(last).some(({ state }) => state === 'CRASHED') && entries(last);
  });
  expect(crashed).toMatchObject({ droplet: 'web', index: 4, state: 'CRASHED' });
  expect(crashed?.instance).not.toBe(guid);
  await eventually('its removal', () => heartbeats().at(-1)?.text === `{"droplets":[],"dea":"${dea.id}"}`);
});

test('an app that exits has crashed, even before it was RUNNING', async () => {
  await run({ startingMs: 3_600_000 });
  expect(await exit(await place('exit 3'))).toMatchObject({
    reason: 'CRASHED',
    exit_status: 3,
    exit_description: '',
  });
});

test('a stopped instance exits with STOPPED and is not listed again', async () => {
  await run();
  const [stopped, other] = [await place(LOOP, 0), await place(LOOP, 1)];
  await listed(stopped, 'RUNNING');
  stop(stopped, 'unknown');
  const message = await exit(stopped);
  expect(message).toMatchObject({ reason: 'STOPPED' });
  expect(message).not.toHaveProperty('crash_timestamp');
  await listed(other, 'RUNNING');
  dea.heartbeat();
  await own.flush();
  await bus.flush();
  expect(entries(heartbeats().at(-1) as Received).map(({ instance }) => instance)).toEqual([other]);
});

test('an evacuating DEA reports all instances, refuses starts, and ends when the last one was stopped', async () => {
  await run();
  const guid = await place();
  await listed(guid, 'RUNNING');
  dea.evacuate();
  expect(await exit(guid)).toMatchObject({ reason: 'DEA_EVACUATION' });
  await listed(guid, 'EVACUATING');
  expect(isAlive(pidOf(guid))).toBe(true);
  expect(await place()).toBeUndefined();
  const evacuated = dea.evacuated();
  stop(guid);
  await evacuated;
  await eventually('both exits', () => exits().length === 2);
  expect(exits().map(({ reason }) => reason)).toEqual(['DEA_EVACUATION', 'STOPPED']);
});

test('an evacuation stops the instances that are left at its end', async () => {
  await run({ evacuationMs: 50 });
  const guid = await place();
  await listed(guid, 'RUNNING');
  dea.evacuate();
  await dea.evacuated();
  await dea.shutdown();
  await eventually('both exits', () => exits().length === 2);
  expect(exits().map(({ reason }) => reason)).toEqual(['DEA_EVACUATION', 'DEA_SHUTDOWN']);
});

test('a shutdown publishes dea.shutdown, then the exits of its instances', async () => {
  await run({ crashedForMs: 3_600_000 });
  const guids = [await place(LOOP, 0), await place(LOOP, 1)];
  const crashed = await place('exit 1', 2);
  await exit(crashed);
  for (const guid of guids) await listed(guid, 'RUNNING');
  await dea.shutdown();
  await eventually('three exits', () => exits().length === 3);
  const shutdown = received.findIndex(({ subject }) => subject === 'dea.shutdown');
  expect(received[shutdown]?.value).toMatchObject({ id: dea.id, app_id_to_count: { web: 2 } });
  const later = received.slice(shutdown + 1);
  expect(later.map(({ subject }) => subject)).toEqual(['droplet.exited', 'droplet.exited']);
  expect(later.map(({ value }) => value.instance).sort()).toEqual([...guids].sort());
  expect(later.every(({ value }) => value.reason === 'DEA_SHUTDOWN')).toBe(true);
});

test('malformed requests change nothing', async () => {
  await run();
  const reply = await bus.request(placeSubject(dea.id), '{"droplet":');
  expect(reply.json()).toEqual({ refused: 'malformed' });
  bus.publish(STOP_SUBJECT, 'nonsense');
  const guid = await place();
  await listed(guid, 'RUNNING');
});

test('a start that fails is refused and changes nothing', async () => {
  await run({ logDir: '/there/is/no/such/folder' });
  const request = { droplet: 'web', version: 'v1', index: 0, command: LOOP };
  const reply = await bus.request(placeSubject(dea.id), JSON.stringify(request));
  expect(reply.json()).toEqual({ refused: expect.stringContaining('ENOENT') });
  expect(instances).toEqual([]);
});
