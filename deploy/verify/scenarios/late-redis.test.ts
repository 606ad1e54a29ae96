/** A Redis whose replies are late: a fifteenth of `droplet_lost`, as two seconds are for the usual thirty. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { defaultSettings } from '../../../common/config/settings.ts';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import { type TestContext, testContext } from '../../../common/testing/context.ts';
import { startNats, type TestNats } from '../../../common/testing/nats/server.ts';
import { startTestRedis, type TestRedis } from '../../../common/testing/redis/server.ts';
import { TcpProxy } from '../chaos/proxy.ts';
import { SimulatedController } from '../sim/controller.ts';
import { ALL_PROCESSES, Processes } from './processes.ts';
import { ScriptedDea } from './scripted-dea.ts';

const DROPLET_LOST_MS = 9_000;
const ROUND_TRIP_MS = DROPLET_LOST_MS / 15;

let redis: TestRedis;
let nats: TestNats;
let controller: SimulatedController;
let proxy: TcpProxy;
let cloud: TestContext;
let processes: Processes;
let timer: NodeJS.Timeout;

beforeEach(async () => {
  [redis, nats, controller] = await Promise.all([startTestRedis(), startNats(), SimulatedController.start()]);
  proxy = await TcpProxy.start(redis.port);
  const contextOn = (url: string) =>
    testContext({
      redis: { url },
      nats,
      settings: {
        bulkApi: { ...defaultSettings().bulkApi, host: controller.host },
        policy: { dropletLostMs: DROPLET_LOST_MS },
      },
    });
  cloud = await contextOn(redis.url);
  const newContext = () => contextOn(`redis://127.0.0.1:${proxy.port}`);
  processes = new Processes({ newContext, realTime: true, pageTimeoutMs: undefined });
});
afterEach(async () => {
  clearInterval(timer);
  proxy.mode = { kind: 'open' };
  await processes?.close();
  await cloud?.lifecycle.stop();
  await proxy?.close();
  await Promise.all([redis?.stop(), nats?.stop(), controller?.stop()]);
});

test('a dead DEA is replaced', async () => {
  const bus = await cloud.connectBus();
  let guids = 0;
  const publish = (subject: string, payload: string) => {
    bus.publish(subject, payload);
    return true;
  };
  const deas = ['a', 'b', 'c', 'd'].map(
    (id) => new ScriptedDea({ id, publish, nowMs: () => Date.now(), newGuid: () => `i${++guids}` }),
  );
  bus.subscribe(bulkCredentialsSubject('default'), {}, (message) =>
    message.respond(controller.credentials()),
  );
  const started: string[] = [];
  bus.subscribe(SUBJECTS.start, {}, ({ data }) => void started.push(new TextDecoder().decode(data)));
  for (const dea of deas) {
    controller.put(dea.id, { instances: 1, state: 'STARTED', package_state: 'STAGED', version: 'v1' });
    dea.run(dea.id, 0, 'v1');
  }
  await processes.start(...ALL_PROCESSES);
  timer = setInterval(() => {
    for (const dea of deas) dea.sendHeartbeat();
  }, DROPLET_LOST_MS / 3);
  await new Promise((resolve) => setTimeout(resolve, 2 * DROPLET_LOST_MS));
  proxy.mode = { kind: 'slow', delayMs: ROUND_TRIP_MS / 2 };
  await new Promise((resolve) => setTimeout(resolve, DROPLET_LOST_MS));
  expect(started).toEqual([]);
  deas.splice(0, 1);
  // In bounded time, of which `droplet_lost` is a part.
  await expect.poll(() => started.length, { timeout: 5 * DROPLET_LOST_MS }).toBeGreaterThan(0);
  expect(JSON.parse(started[0] as string)).toMatchObject({ droplet: 'a' });
}, 150_000);
