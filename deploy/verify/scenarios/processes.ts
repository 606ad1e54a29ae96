import { type Analyzer, startAnalyzer } from '../../../analyzer/main.ts';
import type { Bus } from '../../../common/nats/bus.ts';
import type { ProcessContext } from '../../../common/process.ts';
import { startClock } from '../../../common/redis/clock.ts';
import { Registration } from '../../../common/redis/fleet/processes/registration.ts';
import type { TestContext } from '../../../common/testing/context.ts';
import { type Ingest, startIngest } from '../../../ingest/main.ts';
import { type Sync, startSync } from '../../../ingest/sync/main.ts';
import { startNudger } from '../../../nudger/main.ts';
import { WallClocks } from './wall-clock.ts';

export type ProcessName = 'ingest' | 'sync' | 'analyzer' | 'nudger';
export const ALL_PROCESSES: readonly ProcessName[] = ['ingest', 'analyzer', 'nudger', 'sync'];

/** One running copy of a process of the health manager. */
export interface RunningProcess {
  name: ProcessName;
  /** Its log lines and metrics. */
  context: TestContext;
  registration: Registration;
  ingest?: Ingest;
  analyzer?: Analyzer;
  sync?: Sync;
}

interface Options {
  newContext(): Promise<TestContext>;
  /** The processes use Redis's clock instead of the test's. */
  realTime: boolean;
  pageTimeoutMs: number | undefined;
}

/** The processes of a deployment. They run their real code inside the test's own process. */
export class Processes {
  readonly running: RunningProcess[] = [];
  /** How far the wall clocks of processes that start from now on are ahead (ms). */
  wallClockOffsetsMs: Partial<Record<ProcessName, number>> = {};
  readonly #options: Options;
  readonly #buses = new Map<TestContext, Bus[]>();
  readonly #wallClocks = new WallClocks();

  constructor(options: Options) {
    this.#options = options;
    this.#wallClocks.install();
  }

  /** Every process's connections to NATS. */
  get buses(): Bus[] {
    return [...this.#buses.values()].flat();
  }

  /** Starts one more copy of each of these. */
  async start(...names: ProcessName[]): Promise<RunningProcess[]> {
    const started = await Promise.all(names.map((name) => this.#start(name)));
    this.running.push(...started);
    return started;
  }

  /** Stops all copies of the named processes, or single copies; every process if none is named. */
  async stop(...which: (ProcessName | RunningProcess)[]): Promise<void> {
    const stopping = this.running.filter(
      (process) => which.length === 0 || which.includes(process.name) || which.includes(process),
    );
    for (const process of stopping) this.running.splice(this.running.indexOf(process), 1);
    await Promise.all(stopping.map(({ context }) => context.lifecycle.stop()));
  }

  /** Stops every process, then starts as many again. */
  async restart(): Promise<void> {
    const names = this.running.map(({ name }) => name);
    await this.stop();
    await this.start(...names);
  }

  /** Stops every process for good. */
  async close(): Promise<void> {
    await this.stop();
    this.#wallClocks.restore();
  }

  /** @returns the first running copy of the process */
  find(name: ProcessName): RunningProcess | undefined {
    return this.running.find((process) => process.name === name);
  }

  /** The log lines of the running processes that have this event. */
  logged(event: string): Record<string, unknown>[] {
    return this.running.flatMap(({ context }) => context.lines.filter((line) => line.event === event));
  }

  async #start(name: ProcessName): Promise<RunningProcess> {
    const { realTime, pageTimeoutMs, newContext } = this.#options;
    return this.#wallClocks.within(this.wallClockOffsetsMs[name] ?? 0, async () => {
      const context = await newContext();
      const registration = new Registration({ kind: name, ...context });
      const process: RunningProcess = { name, context, registration };
      const processContext: ProcessContext = realTime
        ? { ...context, clock: await startClock(context.redis, context.lifecycle) }
        : context;
      if (name === 'ingest') process.ingest = await startIngest(processContext);
      if (name === 'analyzer') process.analyzer = await startAnalyzer(processContext);
      if (name === 'nudger') await startNudger(processContext);
      if (name === 'sync') {
        const timeout = pageTimeoutMs === undefined ? {} : { pageTimeoutMs };
        process.sync = await startSync(processContext, { firstDelayMs: 1, ...timeout });
      }
      if (name !== 'analyzer') this.#buses.set(context, await context.buses());
      context.lifecycle.onStop('deployment', () => void this.#buses.delete(context));
      return process;
    });
  }
}
