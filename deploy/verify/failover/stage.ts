import { execFile } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { stringify } from 'yaml';
import type { RedisSettings } from '../../../common/config/settings.ts';
import { connectBus } from '../../../common/nats/connect.ts';
import { Health } from '../../../common/runtime/health.ts';
import { Lifecycle } from '../../../common/runtime/lifecycle.ts';
import { captureLog } from '../../../common/testing/context.ts';
import { hmProgram } from '../../run/hm-program.ts';
import { startChild } from '../../run/launcher/child.ts';
import { SimulatedController } from '../sim/controller.ts';
import { LiveCloud } from './live-cloud.ts';

/** Two of each: any of them may be the one that a server's end hits. */
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger'] as const;
const COPIES = 2;
const DROPLET_LOST_S = 6;
const MAIN = hmProgram;

const execFileAsync = promisify(execFile);

/** A health manager of real processes on given servers, and a cloud that is never quiet. */
export interface Stage {
  cloud: LiveCloud;
  /** @throws Error when the cloud is not healthy in time, with what the health manager says of two of the wrong apps */
  healthy(withinMs: number): Promise<void>;
  /** The lines with this event that the processes have logged. */
  logged(event: string): Record<string, unknown>[];
  /** What they have logged of level `error` and above. */
  errors(): string[];
  stop(): Promise<void>;
}

/** Starts everything, and waits until the cloud is healthy. */
export async function startStage(redis: RedisSettings, nats: readonly string[]): Promise<Stage> {
  const lifecycle = new Lifecycle({ stepMs: 15_000 });
  const dir = mkdtempSync(join(tmpdir(), 'hm-failover-'));
  lifecycle.onStop('folder', () => rmSync(dir, { recursive: true, force: true }));
  try {
    return await start(redis, nats, dir, lifecycle);
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

async function start(
  redis: RedisSettings,
  nats: readonly string[],
  dir: string,
  lifecycle: Lifecycle,
): Promise<Stage> {
  const cc = lifecycle.own('controller', await SimulatedController.start(), (owned) => owned.stop());
  const config = join(dir, 'health_manager.yml');
  writeFileSync(
    config,
    stringify({
      mbus: nats,
      redis: inFile(redis),
      bulk_api: { host: cc.host },
      intervals: {
        droplet_lost: DROPLET_LOST_S,
        droplets_analysis: 5,
        desired_state_update: 5,
        postpone_update: 1,
        // Instances crash all the time: they are started at once, and never given up.
        flapping_death: 100_000,
        giveup_crash_number: 0,
        queue_batch_size: 1_000,
      },
    }),
  );
  const bus = await connectBus({
    mbus: { servers: nats.map((url) => new URL(url).host), tls: false },
    name: 'cloud',
    log: captureLog().log,
    health: new Health(),
    lifecycle,
    metrics: new Registry(),
  });
  const cloud = new LiveCloud({ bus, cc, apps: 20, agents: 6, dropletLostMs: DROPLET_LOST_S * 1000 });
  lifecycle.onStop('cloud', () => cloud.end());
  cloud.begin();
  const lines: Record<string, unknown>[] = [];
  const starts = PROCESSES.flatMap((name) => Array<string>(COPIES).fill(name));
  const ready = starts.map((name) => startProcess(name, config, dir, lifecycle, lines));
  await Promise.all(ready);
  const healthy = async (withinMs: number) => {
    if (await cloud.healthy(withinMs)) return;
    const wrong = [...cloud.wrong()];
    const known = await Promise.all(wrong.slice(0, 2).map(([app]) => whatIsKnownOf(app, config)));
    const found = [...wrong.map(([, text]) => text), ...cloud.faults, ...known];
    throw new Error(`not healthy within ${withinMs} ms:\n${found.join('\n')}`);
  };
  await healthy(90_000);
  return {
    cloud,
    healthy,
    logged: (event) => lines.filter((line) => line.event === event),
    errors: () => lines.filter(({ level }) => Number(level) >= 50).map((line) => JSON.stringify(line)),
    stop: () => lifecycle.stop(),
  };
}

/** What an operator would look at. */
async function whatIsKnownOf(app: string, config: string): Promise<string> {
  const looks = [
    ['droplet', app, '--json'],
    ['explain', app],
  ].map((args) => hm([...args, '--config', config]));
  return (await Promise.all(looks)).join('\n');
}

async function hm(args: string[]): Promise<string> {
  const { stdout, stderr } = await execFileAsync(process.execPath, [MAIN, ...args]).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return `${stdout}${stderr}`;
}

async function startProcess(
  name: string,
  config: string,
  dir: string,
  lifecycle: Lifecycle,
  lines: Record<string, unknown>[],
): Promise<void> {
  const log = join(dir, `${name}.log`);
  const output = createWriteStream(log, { flags: 'a' });
  let serves = (_: boolean) => {};
  const ready = new Promise<boolean>((resolve) => {
    serves = resolve;
  });
  const child = await startChild({
    program: process.execPath,
    args: [MAIN, name, '--config', config],
    env: { PATH: process.env.PATH },
    output: { stdout: output, stderr: output, format: (line) => line },
    onLine: (text) => {
      const line = JSON.parse(text) as Record<string, unknown>;
      lines.push(line);
      if (line.event === 'ready') serves(true);
    },
  });
  lifecycle.onStop(name, () => child.stop());
  void child.exited.then(() => serves(false));
  if (!(await ready))
    throw new Error(`${name} ended before it served: ${readFileSync(log, 'utf8').slice(-2000)}`);
}

function inFile(redis: RedisSettings): object {
  if (redis.kind === 'single') return { url: redis.url };
  if (redis.kind === 'cluster') return { cluster: redis.nodes };
  return { sentinel: { name: redis.name, nodes: redis.nodes } };
}
