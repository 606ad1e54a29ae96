import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { stringify } from 'yaml';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Bus, Msg } from '../../../common/nats/bus.ts';
import { recordOf, type TestContext, testContext } from '../../../common/testing/context.ts';
import { startNats } from '../../../common/testing/nats/server.ts';
import { startTestRedis } from '../../../common/testing/redis/server.ts';
import { hmProgram } from '../../run/hm-program.ts';
import { startChild } from '../../run/launcher/child.ts';
import { SimulatedController } from '../sim/controller.ts';
import { ScriptedDea } from './scripted-dea.ts';

const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger'] as const;

/** A small health manager of real processes, because their environment variables cannot be tested inside this one. */
export interface Stage {
  context: TestContext;
  bus: Bus;
  controller: SimulatedController;
  dea: ScriptedDea;
  /** Each `health.start` and `health.stop`. */
  sent: Msg[];
  /** The log lines of the processes. */
  lines: Record<string, unknown>[];
  /**
   * An app with one instance that runs on the DEA and is stored.
   *
   * @returns the guid of the instance
   */
  healthyApp(droplet: string): Promise<string>;
  /**
   * Stops the processes as an operator would.
   *
   * @returns how long the slowest one took (ms)
   */
  stopProcesses(): Promise<number>;
  stop(): Promise<void>;
}

/** @param env the environment of the processes, beside PATH */
export async function startStage(env: NodeJS.ProcessEnv): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-tracing-'));
  const [redis, nats, controller] = await Promise.all([
    startTestRedis(),
    startNats(),
    SimulatedController.start(),
  ]);
  const context = await testContext({ redis, nats });
  const { lifecycle } = context;
  const bus = await context.connectBus();
  const sent: Msg[] = [];
  bus.subscribe(bulkCredentialsSubject('default'), {}, (message) =>
    message.respond(controller.credentials()),
  );
  for (const subject of [SUBJECTS.start, SUBJECTS.stop])
    bus.subscribe(subject, {}, (message) => sent.push(message));
  let guids = 0;
  const dea = new ScriptedDea({
    id: 'dea-1',
    publish: (subject, payload) => {
      bus.publish(subject, payload);
      return true;
    },
    nowMs: Date.now,
    newGuid: () => `i${String(++guids).padStart(3, '0')}`,
  });
  const config = join(dir, 'health_manager.yml');
  const intervals = { droplets_analysis: 5, desired_state_update: 1, postpone_update: 1 };
  writeFileSync(
    config,
    stringify({ mbus: nats.url, redis: { url: redis.url }, bulk_api: { host: controller.host }, intervals }),
  );
  const lines: Record<string, unknown>[] = [];
  const children = await Promise.all(PROCESSES.map((name) => start(name, config, dir, env, lines)));
  const stopProcesses = async () => {
    const beganMs = performance.now();
    await Promise.all(children.splice(0).map((child) => child.stop()));
    return performance.now() - beganMs;
  };
  const ready = () => lines.filter(({ event }) => event === 'ready').length;
  await expect.poll(ready).toBe(PROCESSES.length);

  const healthyApp = async (droplet: string) => {
    controller.put(droplet, {});
    const guid = dea.run(droplet, 0);
    dea.sendHeartbeat();
    const isStored = async () => {
      const record = await recordOf(context.redis, droplet);
      return record.desired !== undefined && record[`instance:${guid}`] !== undefined;
    };
    await expect.poll(isStored).toBe(true);
    return guid;
  };
  const stop = async () => {
    await stopProcesses();
    await lifecycle.stop();
    await Promise.all([redis.stop(), nats.stop(), controller.stop()]);
    rmSync(dir, { recursive: true, force: true });
  };
  return { context, bus, controller, dea, sent, lines, healthyApp, stopProcesses, stop };
}

function start(
  name: string,
  config: string,
  dir: string,
  env: NodeJS.ProcessEnv,
  lines: Record<string, unknown>[],
) {
  const output = createWriteStream(join(dir, `${name}.log`), { flags: 'a' });
  return startChild({
    program: process.execPath,
    args: [hmProgram, name, '--config', config],
    env: { PATH: process.env.PATH, ...env },
    output: { stdout: output, stderr: output, format: (line) => line },
    onLine: (text) => lines.push(JSON.parse(text)),
  });
}
