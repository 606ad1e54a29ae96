import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { startNats, type TestNats } from '../../../common/testing/nats/server.ts';
import { isAlive } from '../../run/launcher/process-table.ts';
import { eventually, listen } from '../testing/bus.ts';
import { type Cloud, type DeaView, startCloud } from './cloud.ts';
import { instancesOf } from './fleet.ts';

let server: TestNats;
let bus: NatsConnection;
let dir: string;
let cloud: Cloud;
/** Pids of all processes of the cloud. */
let pids: Set<number>;

// One cloud for all tests: each test leaves all DEAs up.
beforeAll(async () => {
  // The cloud's processes run from dist/.
  execFileSync(join(packageRoot, 'deploy/setup.sh'));
  server = await startNats();
  dir = mkdtempSync(join(tmpdir(), 'hm-cloud-'));
  copyFileSync(join(import.meta.dirname, '..', 'apps.yml'), join(dir, 'apps.yml'));
  ({ nats: bus } = await listen(server.url));
  cloud = await startCloud({
    ...{ nats: server.url, partition: 'default', appsFile: join(dir, 'apps.yml'), logDir: dir },
    ...{ deas: 3, heartbeatMs: 1_000, replaceAfterMs: 100 },
    childFile: join(packageRoot, 'dist/deploy/demo/cloud/child.js'),
  });
  pids = new Set();
  cloud.events.on('event', (event) => {
    if (event.type !== 'instances' && event.type !== 'dea') return;
    for (const { pid } of [event.dea, ...event.dea.instances]) if (pid !== undefined) pids.add(pid);
  });
}, 120_000);
afterAll(async () => {
  await cloud.stop();
  await eventually('no process is left', () => ![...pids].some(isAlive));
  await bus.close();
  await server.stop();
  rmSync(dir, { recursive: true });
});

/** Requests one instance of every app that has none. */
async function startAll(): Promise<void> {
  for (const { name, version } of cloud.apps()) {
    if (running().some(({ droplet }) => droplet === name)) continue;
    const start = { droplet: name, last_updated: 1, version, indices: [0], running: {}, flapping: false };
    bus.publish('health.start', JSON.stringify(start));
  }
  await eventually('all run', () => running().length === 5);
}
const running = () => instancesOf(cloud.deas()).filter(({ state }) => state === 'RUNNING');
const deaAt = (place: number) => cloud.deas()[place] as DeaView;

test('all DEAs are up, and instances are spread over them', async () => {
  expect(cloud.deas().map(({ state }) => state)).toEqual(['up', 'up', 'up']);
  await startAll();
  expect(
    cloud
      .deas()
      .map(({ instances }) => instances.length)
      .sort(),
  ).toEqual([1, 2, 2]);
  expect(running().every(({ pid }) => isAlive(pid))).toBe(true);
});

test('the instances of a killed DEA die, and the DEA is replaced', async () => {
  await startAll();
  const { id, pid, instances } = structuredClone(deaAt(0));
  const others = running().filter(({ dea }) => dea !== deaAt(0));
  process.kill(pid ?? 0, 'SIGKILL');
  await eventually('it is gone', () => deaAt(0).state === 'gone');
  expect(deaAt(0).instances).toEqual([]);
  await eventually('its instances are dead', () => !instances.some((instance) => isAlive(instance.pid)));
  await eventually('its replacement is up', () => deaAt(0).state === 'up');
  expect(deaAt(0).id).not.toBe(id);
  expect(others.every((other) => isAlive(other.pid))).toBe(true);
});

test('the event of a DEA that stood still has the lateness of its heartbeat', async () => {
  const { pid } = deaAt(0);
  let lateMs = 0;
  cloud.events.on('event', (event) => {
    if (event.type === 'late' && event.dea.pid === pid) lateMs = event.ms;
  });
  process.kill(pid ?? 0, 'SIGSTOP');
  await delay(2_500);
  process.kill(pid ?? 0, 'SIGCONT');
  await eventually('the event is there', () => lateMs > 1_000);
});

test('an evacuating DEA ends when its last instance was stopped, and is replaced', async () => {
  await startAll();
  const { pid, instances } = deaAt(1);
  process.kill(pid ?? 0, 'SIGUSR2');
  await eventually('it evacuates', () => deaAt(1).state === 'evacuating');
  expect(instances.every((instance) => isAlive(instance.pid))).toBe(true);
  bus.publish('cloud.deas.stop', JSON.stringify({ instances: instances.map(({ guid }) => guid) }));
  await eventually('it is gone', () => deaAt(1).state === 'gone');
  await eventually('its replacement is up', () => deaAt(1).state === 'up');
});

test('a killed controller is restarted on the same port', async () => {
  await startAll();
  const port = cloud.bulkPort;
  const children = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  const controller = children
    .map((line) => line.trim().split(/\s+/, 2).map(Number))
    .find(([, parent], at) => {
      return parent === process.pid && children[at]?.includes('"role":"controller"');
    });
  const back = new Promise<void>((resolve) => {
    cloud.events.on('event', (event) => {
      if (event.type === 'ready' && 'port' in event) resolve();
    });
  });
  process.kill(controller?.[0] ?? 0, 'SIGKILL');
  await back;
  expect(cloud.bulkPort).toBe(port);
  const [first] = running();
  process.kill(first?.pid ?? 0, 'SIGKILL');
  await eventually('one is missing', () => running().length === 4);
  await startAll();
});
