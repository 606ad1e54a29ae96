import { pino } from 'pino';
import { startAnalyzer } from '../../../../analyzer/main.ts';
import type { Settings } from '../../../../common/config/settings.ts';
import type { Bus } from '../../../../common/nats/bus.ts';
import { connectBus, type DedicatedConnection } from '../../../../common/nats/connection/connect.ts';
import type { ProcessContext } from '../../../../common/process.ts';
import { startClock } from '../../../../common/redis/clock.ts';
import { connectRedis } from '../../../../common/redis/connection/connections.ts';
import { checkWrites } from '../../../../common/redis/connection/write-check.ts';
import { Health } from '../../../../common/runtime/health.ts';
import { LastWork } from '../../../../common/runtime/last-work.ts';
import { Lifecycle } from '../../../../common/runtime/lifecycle/lifecycle.ts';
import { createRegistry } from '../../../../common/runtime/metrics.ts';
import { startIngest } from '../../../../ingest/main.ts';
import { startSync } from '../../../../ingest/sync/main.ts';
import { startNudger } from '../../../../nudger/main.ts';
import { NEVER_RELEASED, type Release } from '../../chaos/referee.ts';
import { Host } from '../machine/host.ts';

export type CopyKind = 'ingest' | 'sync' | 'analyzer' | 'nudger';

const START: Record<CopyKind, (context: ProcessContext) => Promise<unknown>> = {
  ingest: startIngest,
  sync: startSync,
  analyzer: startAnalyzer,
  nudger: startNudger,
};

/** From the death of a process until its supervisor starts the next one. */
const RESTART_MS = 500;
const LINES_KEPT = 300;

interface Options {
  kind: CopyKind;
  /** `ingest 1` */
  name: string;
  settings: Settings;
  monotonicMs(): number;
}

/**
 * One supervised copy of a process of the health manager. It runs the process's real code on a host of its own, so that it
 * can be stopped, resumed and killed between any two awaits.
 */
export class Copy {
  readonly kind: CopyKind;
  readonly name: string;
  /** Its latest log lines, also of the processes before. */
  readonly lines: Record<string, unknown>[] = [];
  /** When it was last resumed, or its connection to NATS was. */
  lastRelease: Release = NEVER_RELEASED;
  /** How many faults keep it stopped. */
  pauses = 0;
  readonly #options: Options;
  #host: Host;
  #lifecycle = new Lifecycle();
  #wallOffsetMs = 0;
  #isReady = false;

  constructor(options: Options) {
    this.#options = options;
    this.kind = options.kind;
    this.name = options.name;
    this.#host = new Host(options.name);
  }

  get host(): Host {
    return this.#host;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  set wallOffsetMs(ms: number) {
    this.#wallOffsetMs = ms;
    this.#host.wallOffsetMs = ms;
  }

  /** Starts the process; when it fails, the supervisor tries again. */
  start(): void {
    const host = new Host(this.name);
    this.#host = host;
    host.wallOffsetMs = this.#wallOffsetMs;
    // A fault that stopped the process before does not resume this one.
    this.pauses = 0;
    this.#isReady = false;
    const lifecycle = new Lifecycle();
    this.#lifecycle = lifecycle;
    host.within(() => {
      this.#run(lifecycle).then(
        () => {
          if (this.#host === host) this.#isReady = true;
        },
        (error: unknown) => {
          if (lifecycle.stopping || this.#host !== host) return;
          this.#note({ level: 'error', event: 'start_failed', msg: String(error) });
          this.crash();
        },
      );
    });
  }

  /** As SIGKILL, and the supervisor starts the next process. */
  crash(): void {
    this.#host.kill();
    this.#restart();
  }

  /** As SIGTERM, and the supervisor starts the next process when this one has ended. */
  stopInOrder(): void {
    const host = this.#host;
    const ended = () => {
      if (this.#host !== host) return;
      host.kill();
      this.#restart();
    };
    host.within(() => this.#lifecycle.stop()).then(ended, ended);
  }

  pause(): void {
    this.pauses++;
    this.#host.pause();
  }

  resume(): void {
    this.pauses = Math.max(0, this.pauses - 1);
    if (this.pauses > 0) return;
    const nowMs = this.#options.monotonicMs();
    this.lastRelease = { stalledMs: nowMs, releasedMs: nowMs };
    this.#host.resume();
  }

  #restart(): void {
    this.pauses = 0;
    this.#isReady = false;
    const dead = this.#host;
    supervisor.within(() =>
      setTimeout(() => {
        if (this.#host === dead) this.start();
      }, RESTART_MS),
    );
  }

  async #run(lifecycle: Lifecycle): Promise<void> {
    const { kind, settings } = this.#options;
    const log = pino(
      { level: 'info', base: null, formatters: { level: (level) => ({ level }) } },
      { write: (line: string) => this.#note(JSON.parse(line)) },
    );
    const health = new Health();
    const metrics = createRegistry(kind);
    const redis = await connectRedis({ settings, log, health, lifecycle });
    checkWrites(redis, lifecycle);
    const clock = await startClock(redis, lifecycle);
    const buses = new Map<string | undefined, Promise<Bus>>();
    const connect = (dedicated?: DedicatedConnection): Promise<Bus> => {
      const { mbus } = settings;
      const bus =
        buses.get(dedicated?.name) ??
        connectBus({ mbus, name: `hm ${kind}`, log, health, lifecycle, metrics, dedicated });
      buses.set(dedicated?.name, bus);
      return bus;
    };
    await START[kind]({
      settings,
      log,
      clock,
      lifecycle,
      redis,
      connectBus: connect,
      metrics,
      health,
      work: new LastWork(clock),
    });
  }

  #note(line: Record<string, unknown>): void {
    this.lines.push(line);
    if (this.lines.length > LINES_KEPT) this.lines.shift();
  }
}

/** Starts processes; no fault stops it. */
const supervisor = new Host('supervisor');
