import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { ProcessKind } from '../../../model/process-kinds.ts';
import type { Health } from '../../../runtime/health.ts';
import type { LastWork } from '../../../runtime/last-work.ts';
import type { Lifecycle } from '../../../runtime/lifecycle/lifecycle.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../../runtime/log/log.ts';
import { packageVersion } from '../../../runtime/package-version.ts';
import { PeriodicTask } from '../../../runtime/tasks/periodic-task.ts';
import type { Clock } from '../../clock.ts';
import { problemLevel } from '../../connection/connection-error.ts';
import type { RedisConnections } from '../../connection/connections.ts';
import { type ProcessEntry, REGISTER_EVERY_MS, removeEnded, storeProcess } from './processes.ts';

interface Options {
  kind: ProcessKind;
  redis: RedisConnections;
  clock: Clock;
  log: Logger;
  lifecycle: Lifecycle;
  health: Health;
  work: LastWork;
  /** The longest delay of the event loop since the call before (ms); 0 by default. */
  takeLagMs?: () => number;
}

/** Entries of ended processes are looked for at every n-th write. */
const CLEAN_EVERY = 30;

/** Writes the entry of this process to Redis until it stops. */
export class Registration {
  readonly #options: Options;
  readonly #id = randomUUID();
  readonly #version = packageVersion();
  readonly #sinceMs: number;
  readonly #limited: RateLimitedLog;
  readonly #task: PeriodicTask;
  #writes = 0;
  #problemSinceMs: number | undefined;

  /** The first entry is written at once; `write` waits for it. */
  constructor(options: Options) {
    this.#options = options;
    this.#sinceMs = options.clock.nowMs();
    this.#limited = createRateLimit(options.log);
    this.#task = new PeriodicTask(REGISTER_EVERY_MS, () => this.#write());
    void this.#task.runNow();
    options.lifecycle.onStop('registration', async () => {
      await this.#task.stop();
      await this.#write(options.clock.nowMs());
    });
  }

  /** Writes the entry now, as the timer does: for tests that move the clock. */
  async write(): Promise<void> {
    await this.#task.runNow();
    await this.#task.runNow(); // the first may have joined a write that began before the clock was moved
  }

  async #write(stoppedMs?: number): Promise<void> {
    const { redis, clock } = this.#options;
    try {
      await storeProcess(redis, this.#id, this.#entry(stoppedMs));
      if (this.#writes++ % CLEAN_EVERY === 0) await removeEnded(redis, clock.nowMs());
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('WRONGTYPE')) {
        // Somebody made another type of the key. All entries are written again within seconds.
        await redis.client.del(redis.keys.processes).catch(() => undefined); // the next write tries again
      }
      this.#limited[problemLevel(error)](
        'not registered',
        { event: 'process_not_registered', err: error },
        'entry of this process not written; retrying',
      );
    }
  }

  #entry(stoppedMs: number | undefined): ProcessEntry {
    const { kind, clock, work, health, takeLagMs = () => 0 } = this.#options;
    const nowMs = clock.nowMs();
    const problems = Object.fromEntries(health.problems());
    const waits = Object.keys(problems).length > 0;
    this.#problemSinceMs = waits ? (this.#problemSinceMs ?? nowMs) : undefined;
    return {
      ...{ kind, host: hostname(), pid: process.pid, version: this.#version },
      ...{ sinceMs: this.#sinceMs, seenMs: nowMs, lagMs: Math.round(takeLagMs()) },
      ...(work.atMs !== undefined && { lastWorkMs: work.atMs }),
      ...(this.#problemSinceMs !== undefined && { problems, problemSinceMs: this.#problemSinceMs }),
      ...(stoppedMs !== undefined && { stoppedMs }),
    };
  }
}
