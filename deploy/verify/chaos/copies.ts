import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { hmProgram } from '../../run/hm-program.ts';
import { type ProcessName, startChild } from '../../run/launcher/child.ts';
import { type Supervisor, supervise } from '../../run/launcher/supervise.ts';
import type { TcpProxy } from './proxy.ts';
import { NEVER_RELEASED, type Release } from './referee.ts';

/** One copy of a process of the health manager, with its own proxy to each server. */
export interface ProcessCopy {
  /** `ingest 1` */
  name: string;
  process: ProcessName;
  redis: TcpProxy;
  nats: TcpProxy;
  /** The file that holds how far its wall clock is ahead (ms). */
  clockFile: string;
  /** Undefined while it is not running. */
  pid(): number | undefined;
  /** How many faults keep it stopped (SIGSTOP), or wait for its end, now. */
  pauses: number;
  /** The last release of its stalled connection to NATS. */
  lastRelease: Release;
  /** Resolves when it is ready; at once if it is. */
  ready(): Promise<void>;
  /** Stops it in order and starts a successor, as in an upgrade. Resolves when the successor is ready. */
  replace(order: Order): Promise<Replaced>;
  /** The error lines in the logs of this copy and its predecessors. */
  errors: readonly string[];
}

/** Whether the successor is ready before the old process stops, or starts after it has ended. */
export type Order = 'new first' | 'old first';

/** How the old process ended. */
export interface Replaced {
  exitCode: number | null;
  stopMs: number;
}

interface Options extends Pick<ProcessCopy, 'name' | 'process' | 'redis' | 'nats' | 'clockFile'> {
  configFile: string;
  logs: NodeJS.WritableStream;
}

/** A process that died is started again, sooner than by a usual supervisor. */
const BACKOFF = { firstMs: 200, maxMs: 1_000, resetAfterMs: 2_000 };
/** Variables that would override the generated configuration. */
const OVERRIDING = ['LOG_LEVEL', 'CLOUD_FOUNDRY_CONFIG_PATH'];

/** A process under supervision. */
interface Supervised {
  supervisor: Supervisor;
  ready(): Promise<void>;
  /** The exit code of the last run; undefined while the process runs. */
  exitCode(): number | null | undefined;
}

/** Starts a copy under supervision. `stop` ends it, even if it is stopped by SIGSTOP. */
export function startCopy(options: Options): { copy: ProcessCopy; stop(): Promise<void> } {
  const { name, process: what, redis, nats, clockFile } = options;
  writeFileSync(clockFile, '0');
  const errors: string[] = [];
  let current = superviseCopy(options, errors);
  const copy: ProcessCopy = {
    ...{ name, process: what, redis, nats, clockFile, errors },
    ...{ pauses: 0, lastRelease: NEVER_RELEASED },
    pid: () => current.supervisor.pid(),
    ready: () => current.ready(),
    async replace(order) {
      const old = current;
      if (order === 'old first') {
        const replaced = await stop(old);
        current = superviseCopy(options, errors);
        await current.ready();
        return replaced;
      }
      current = superviseCopy(options, errors);
      await current.ready();
      return stop(old);
    },
  };
  const stopCurrent = () => {
    const pid = current.supervisor.pid();
    if (pid !== undefined) process.kill(pid, 'SIGCONT');
    return current.supervisor.stop();
  };
  return { copy, stop: stopCurrent };
}

async function stop({ supervisor, exitCode }: Supervised): Promise<Replaced> {
  const beganMs = performance.now();
  await supervisor.stop();
  return { exitCode: exitCode() ?? null, stopMs: performance.now() - beganMs };
}

function superviseCopy(
  { name, process: what, redis, nats, clockFile, configFile, logs }: Options,
  errors: string[],
): Supervised {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    REDIS_URL: `redis://127.0.0.1:${redis.port}`,
    MBUS_URI: `nats://127.0.0.1:${nats.port}`,
    CHAOS_CLOCK_FILE: clockFile,
  };
  for (const overruling of OVERRIDING) delete env[overruling];
  let isReady = false;
  let exitCode: number | null | undefined;
  const waiting: (() => void)[] = [];
  const onLine = (line: string) => {
    if (/"level":"(error|fatal)"/.test(line)) errors.push(line);
    if (!line.includes('"event":"ready"')) return;
    isReady = true;
    for (const resolve of waiting.splice(0)) resolve();
  };
  const main = hmProgram;
  const clock = join(import.meta.dirname, 'shifted-clock.js');
  const supervisor = supervise({
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
        isReady = false;
        exitCode = code;
      });
      return child;
    },
  });
  return {
    supervisor,
    ready: () => (isReady ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    exitCode: () => exitCode,
  };
}
