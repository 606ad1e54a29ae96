import { execFile } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { stringify } from 'yaml';
import type { RedisSettings } from '../../../common/config/settings.ts';
import { connectBus } from '../../../common/nats/connection/connect.ts';
import { Health } from '../../../common/runtime/health.ts';
import { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import { captureLog } from '../../../common/testing/context.ts';
import { hmProgram } from '../../run/hm-program.ts';
import { type ProcessName, startChild } from '../../run/launcher/child.ts';
import { SimulatedController } from '../sim/controller.ts';
import { LiveCloud } from './live-cloud.ts';

/** Two copies of each process, because the end of a server may hit any of them. */
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger'] as const;
const COPIES = 2;
const DROPLET_LOST_S = 6;

const execFileAsync = promisify(execFile);

export interface Copy {
  name: ProcessName;
  /** Ends it in an orderly way. @returns its exit code; null after a signal */
  stop(): Promise<number | null>;
}

/** A health manager of real processes on given servers, and a cloud under load. */
export interface Stage {
  cloud: LiveCloud;
  /** The processes that run from the beginning. */
  copies: readonly Copy[];
  /** Starts a further copy with another program. Returns when it is ready. */
  startCopy(name: ProcessName, program: string): Promise<Copy>;
  /**
   * Waits until the cloud matches the controller's apps.
   *
   * @throws Error after that time, with the records of two apps that differ
   */
  waitUntilHealthy(withinMs: number): Promise<void>;
  /** The log lines of the processes that have this event. */
  logged(event: string): Record<string, unknown>[];
  /** The log lines of level `error` and above. */
  errors(): string[];
  stop(): Promise<void>;
}

/** Starts everything, and waits until the cloud is healthy. @param program the `hm` of the processes */
export async function startStage(
  redis: RedisSettings,
  nats: readonly string[],
  program = hmProgram,
): Promise<Stage> {
  const lifecycle = new Lifecycle({ stepMs: 15_000 });
  const dir = mkdtempSync(join(tmpdir(), 'hm-failover-'));
  lifecycle.onStop('folder', () => rmSync(dir, { recursive: true, force: true }));
  try {
    return await start({ redis, nats, program }, dir, lifecycle);
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

async function start(
  { redis, nats, program }: { redis: RedisSettings; nats: readonly string[]; program: string },
  dir: string,
  lifecycle: Lifecycle,
): Promise<Stage> {
  const controller = lifecycle.own('controller', await SimulatedController.start(), (owned) => owned.stop());
  const config = join(dir, 'health_manager.yml');
  writeFileSync(
    config,
    stringify({
      mbus: nats,
      redis: redisConfig(redis),
      bulk_api: { host: controller.host },
      status: { port: 0 },
      intervals: {
        droplet_lost: DROPLET_LOST_S,
        droplets_analysis: 5,
        desired_state_update: 5,
        postpone_update: 1,
        // Instances crash all the time, so they are started at once and never given up.
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
  const cloud = new LiveCloud({ bus, controller, apps: 20, deas: 6, dropletLostMs: DROPLET_LOST_S * 1000 });
  lifecycle.onStop('cloud', () => cloud.stop());
  cloud.start();
  const lines: Record<string, unknown>[] = [];
  const startCopy = (name: ProcessName, of: string) =>
    startProcess({ name, program: of, config, dir, lifecycle, lines });
  const names = PROCESSES.flatMap((name) => Array<ProcessName>(COPIES).fill(name));
  const copies = await Promise.all(names.map((name) => startCopy(name, program)));
  const waitUntilHealthy = async (withinMs: number) => {
    if (await cloud.waitUntilHealthy(withinMs)) return;
    const differences = [...cloud.differences()];
    const records = await Promise.all(differences.slice(0, 2).map(([app]) => recordsOf(app, config)));
    const found = [...differences.map(([, text]) => text), ...cloud.violations, ...records];
    throw new Error(`not healthy within ${withinMs} ms:\n${found.join('\n')}`);
  };
  await waitUntilHealthy(90_000);
  return {
    cloud,
    copies,
    startCopy,
    waitUntilHealthy,
    logged: (event) => lines.filter((line) => line.event === event),
    errors: () => lines.filter(({ level }) => Number(level) >= 50).map((line) => JSON.stringify(line)),
    stop: () => lifecycle.stop(),
  };
}

/** The output of the commands that an operator would use. */
async function recordsOf(app: string, config: string): Promise<string> {
  const outputs = [
    ['droplet', app, '--json'],
    ['explain', app],
  ].map((args) => hm([...args, '--config', config]));
  return (await Promise.all(outputs)).join('\n');
}

async function hm(args: string[]): Promise<string> {
  const { stdout, stderr } = await execFileAsync(process.execPath, [hmProgram, ...args]).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return `${stdout}${stderr}`;
}

interface ProcessOptions {
  name: ProcessName;
  program: string;
  config: string;
  dir: string;
  lifecycle: Lifecycle;
  lines: Record<string, unknown>[];
}

async function startProcess(options: ProcessOptions): Promise<Copy> {
  const { name, program, config, dir, lifecycle, lines } = options;
  const log = join(dir, `${name}.log`);
  const output = createWriteStream(log, { flags: 'a' });
  let setReady = (_: boolean) => {};
  const ready = new Promise<boolean>((resolve) => {
    setReady = resolve;
  });
  const child = await startChild({
    program: process.execPath,
    args: [program, name, '--config', config],
    env: { PATH: process.env.PATH },
    output: { stdout: output, stderr: output, format: (line) => line },
    onLine: (text) => {
      const line = JSON.parse(text) as Record<string, unknown>;
      lines.push(line);
      if (line.event === 'ready') setReady(true);
    },
  });
  lifecycle.onStop(name, () => child.stop());
  void child.exited.then(() => setReady(false));
  if (!(await ready))
    throw new Error(`${name} ended before it was ready: ${readFileSync(log, 'utf8').slice(-2000)}`);
  return {
    name,
    async stop() {
      await child.stop();
      return child.exited;
    },
  };
}

function redisConfig(redis: RedisSettings): object {
  if (redis.kind === 'single') return { url: redis.url };
  if (redis.kind === 'cluster') return { cluster: redis.nodes };
  return { sentinel: { name: redis.name, nodes: redis.nodes } };
}
