import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { stringify } from 'yaml';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Bus, Msg } from '../../../common/nats/bus.ts';
import { recordOf, type TestContext, testContext } from '../../../common/testing/context.ts';
import { FakeCc } from '../../../common/testing/fake-cc.ts';
import { startNats } from '../../../common/testing/nats.ts';
import { startTestRedis } from '../../../common/testing/redis.ts';
import { hmProgram } from '../../run/hm-program.ts';
import { startChild } from '../../run/launcher/child.ts';
import { Dea } from './dea.ts';

const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger'] as const;

/** A small health manager of real processes: what they do with their environment cannot be tried inside this one. */
export interface Stage {
  context: TestContext;
  bus: Bus;
  cc: FakeCc;
  dea: Dea;
  /** Each `health.start` and `health.stop`. */
  sent: Msg[];
  /** What the processes have logged. */
  lines: Record<string, unknown>[];
  /** An app of one instance that runs on the DEA, and is known to. @returns its guid */
  healthyApp(droplet: string): Promise<string>;
  /** Ends the processes as an operator would. @returns how long the slowest one took (ms) */
  endProcesses(): Promise<number>;
  /** Ends everything. */
  stop(): Promise<void>;
}

/** @param env beside the PATH, all that the processes have */
export async function startStage(env: NodeJS.ProcessEnv): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-tracing-'));
  const [redis, nats, cc] = await Promise.all([startTestRedis(), startNats(), FakeCc.start()]);
  const context = await testContext({ redis, nats });
  const { lifecycle } = context;
  const bus = await context.connectBus();
  const sent: Msg[] = [];
  bus.subscribe(bulkCredentialsSubject('default'), {}, (message) => message.respond(cc.credentials()));
  for (const subject of [SUBJECTS.start, SUBJECTS.stop])
    bus.subscribe(subject, {}, (message) => sent.push(message));
  let guids = 0;
  const dea = new Dea('dea-1', {
    bus,
    nowMs: Date.now,
    newGuid: () => `i${String(++guids).padStart(3, '0')}`,
  });
  const config = join(dir, 'health_manager.yml');
  const intervals = { droplets_analysis: 5, desired_state_update: 1, postpone_update: 1 };
  writeFileSync(
    config,
    stringify({ mbus: nats.url, redis: { url: redis.url }, bulk_api: { host: cc.host }, intervals }),
  );
  const lines: Record<string, unknown>[] = [];
  const children = await Promise.all(PROCESSES.map((name) => start(name, config, dir, env, lines)));
  const endProcesses = async () => {
    const beganMs = performance.now();
    await Promise.all(children.splice(0).map((child) => child.stop()));
    return performance.now() - beganMs;
  };
  const ready = () => lines.filter(({ event }) => event === 'ready').length;
  await expect.poll(ready, { timeout: 30_000 }).toBe(PROCESSES.length);

  const healthyApp = async (droplet: string) => {
    cc.put(droplet, {});
    const guid = dea.run(droplet, 0);
    dea.beat();
    const known = async () => {
      const record = await recordOf(context.redis, droplet);
      return record.desired !== undefined && record[`instance:${guid}`] !== undefined;
    };
    await expect.poll(known, { timeout: 15_000 }).toBe(true);
    return guid;
  };
  const stop = async () => {
    await endProcesses();
    await lifecycle.stop();
    await Promise.all([redis.stop(), nats.stop(), cc.stop()]);
    rmSync(dir, { recursive: true, force: true });
  };
  return { context, bus, cc, dea, sent, lines, healthyApp, endProcesses, stop };
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
