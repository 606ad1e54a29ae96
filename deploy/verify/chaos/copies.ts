import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { hmProgram } from '../../run/hm-program.ts';
import { type ProcessName, startChild } from '../../run/launcher/child.ts';
import { type Supervisor, supervise } from '../../run/launcher/supervise.ts';
import type { TcpProxy } from './proxy.ts';

/** One copy of a process of the health manager, with its own way to each server. */
export interface Copy {
  /** `ingest 1` */
  name: string;
  process: ProcessName;
  redis: TcpProxy;
  nats: TcpProxy;
  /** File that holds how far its wall clock is ahead (ms). */
  clockFile: string;
  /** Undefined while it is not running. */
  pid(): number | undefined;
  /** So many faults make it stand still now. */
  stops: number;
  /** When its way to NATS was last opened again, after nothing had got through, while it stood still (ms, monotonic). */
  heldUpMs: number;
  /** Resolves when it serves; at once if it does already. */
  serves(): Promise<void>;
  /** Stops it in order and puts a successor in its place, as when the version is changed. Resolves when that serves. */
  replace(order: Order): Promise<Replaced>;
  /** What it and its predecessors logged as an error: lines of their logs. */
  errors: readonly string[];
}

/** Whether the successor serves before the old one is stopped, or is started when the old one is gone. */
export type Order = 'new first' | 'old first';

/** How the old one ended. */
export interface Replaced {
  exitCode: number | null;
  stopMs: number;
}

interface Options extends Pick<Copy, 'name' | 'process' | 'redis' | 'nats' | 'clockFile'> {
  configFile: string;
  logs: NodeJS.WritableStream;
}

/** A process that died is started again as by any supervisor, only sooner. */
const BACKOFF = { firstMs: 200, maxMs: 1_000, resetAfterMs: 2_000 };
/** Variables that would win over the generated configuration. */
const OVERRULING = ['LOG_LEVEL', 'CLOUD_FOUNDRY_CONFIG_PATH'];

/** One that is kept running. */
interface Kept {
  keeper: Supervisor;
  serves(): Promise<void>;
  /** Of the one that ran last; undefined while it runs. */
  exitCode(): number | null | undefined;
}

/** Starts a copy and keeps it running; `stop` ends it, also while it stands still. */
export function startCopy(options: Options): { copy: Copy; stop(): Promise<void> } {
  const { name, process: what, redis, nats, clockFile } = options;
  writeFileSync(clockFile, '0');
  const errors: string[] = [];
  let current = keepOne(options, errors);
  const copy: Copy = {
    ...{ name, process: what, redis, nats, clockFile, errors },
    ...{ stops: 0, heldUpMs: Number.NEGATIVE_INFINITY },
    pid: () => current.keeper.pid(),
    serves: () => current.serves(),
    async replace(order) {
      const old = current;
      if (order === 'old first') {
        const replaced = await stopped(old);
        current = keepOne(options, errors);
        await current.serves();
        return replaced;
      }
      current = keepOne(options, errors);
      await current.serves();
      return stopped(old);
    },
  };
  const stop = () => {
    const pid = current.keeper.pid();
    if (pid !== undefined) process.kill(pid, 'SIGCONT');
    return current.keeper.stop();
  };
  return { copy, stop };
}

async function stopped({ keeper, exitCode }: Kept): Promise<Replaced> {
  const beganMs = performance.now();
  await keeper.stop();
  return { exitCode: exitCode() ?? null, stopMs: performance.now() - beganMs };
}

function keepOne(
  { name, process: what, redis, nats, clockFile, configFile, logs }: Options,
  errors: string[],
): Kept {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    REDIS_URL: `redis://127.0.0.1:${redis.port}`,
    MBUS_URI: `nats://127.0.0.1:${nats.port}`,
    CHAOS_CLOCK_FILE: clockFile,
  };
  for (const overruling of OVERRULING) delete env[overruling];
  let serving = false;
  let exitCode: number | null | undefined;
  const waiting: (() => void)[] = [];
  const onLine = (line: string) => {
    if (/"level":"(error|fatal)"/.test(line)) errors.push(line);
    if (!line.includes('"event":"ready"')) return;
    serving = true;
    for (const resolve of waiting.splice(0)) resolve();
  };
  const main = hmProgram;
  const clock = join(import.meta.dirname, 'shifted-clock.js');
  const keeper = supervise({
    name,
    log: pino({ level: 'silent' }),
    backoff: BACKOFF,
    start: async () => {
      const child = await startChild({
        program: process.execPath,
        args: ['--import', clock, main, what, '--config', configFile],
        env,
        output: { stdout: logs as never, stderr: logs as never, format: (line) => line },
        onLine,
      });
      exitCode = undefined;
      void child.exited.then((code) => {
        serving = false;
        exitCode = code;
      });
      return child;
    },
  });
  return {
    keeper,
    serves: () => (serving ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    exitCode: () => exitCode,
  };
}
