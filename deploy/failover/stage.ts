import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { stringify } from 'yaml';
import { connectBus } from '../../common/bus.ts';
import { Health } from '../../common/health.ts';
import { Lifecycle } from '../../common/lifecycle.ts';
import { packageRoot } from '../../common/root.ts';
import type { RedisSettings } from '../../common/settings.ts';
import { captureLog } from '../../common/testing/context.ts';
import { FakeCc } from '../../common/testing/fake-cc.ts';
import { startChild } from '../launcher/child.ts';
import { LiveCloud } from './live-cloud.ts';

/** Two of each: any of them may be the one that a server's end hits. */
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger'] as const;
const COPIES = 2;
const DROPLET_LOST_S = 6;

/** A health manager of real processes on given servers, and a cloud that is never quiet. */
export interface Stage {
  cloud: LiveCloud;
  /** How many lines with this event the processes have logged. */
  logged(event: string): number;
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
  const cc = lifecycle.own('controller', await FakeCc.start(), (owned) => owned.stop());
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
  await cloud.healthy(90_000);
  return {
    cloud,
    logged: (event) => lines.filter((line) => line.event === event).length,
    errors: () => lines.filter(({ level }) => Number(level) >= 50).map((line) => JSON.stringify(line)),
    stop: () => lifecycle.stop(),
  };
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
    args: [join(packageRoot, 'dist', 'deploy', 'cli', 'main.js'), name, '--config', config],
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
