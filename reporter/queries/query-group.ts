import { type DeploymentName, queueGroup } from '../../common/messages/subjects.ts';
import type { Bus, BusSubscription, Handler } from '../../common/nats/bus.ts';
import type { Health } from '../../common/runtime/health.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import { PeriodicTask } from '../../common/runtime/tasks/periodic-task.ts';

interface Options {
  bus: Bus;
  deployment: DeploymentName;
  health: Health;
  log: Logger;
  /** Rejects or stays pending while Redis cannot be read. */
  pingRedis(): Promise<unknown>;
}

/** How often the reporter checks that it can read Redis, and how long an answer may take (ms). */
const CHECK_EVERY_MS = 500;
const PATIENCE_MS = 1_000;

/**
 * The reporters' queue group: each query goes to one of them. A reporter that cannot read Redis leaves the group until it can, so
 * that the others answer.
 */
export class QueryGroup {
  readonly #options: Options;
  readonly #handlers: ReadonlyMap<string, Handler>;
  #subscriptions: BusSubscription[] = [];
  #isMember = false;
  /** Since when a ping has not been answered (ms, monotonic clock); undefined if none is pending. */
  #pingedAtMs: number | undefined;
  #hasFailed = false;

  /** @param handlers by subject */
  constructor(options: Options, handlers: ReadonlyMap<string, Handler>) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Joins. @returns leaves for good, and resolves when everything received has been handed over */
  start(): () => Promise<void> {
    this.#join();
    const checks = new PeriodicTask(CHECK_EVERY_MS, () => this.#check());
    return async () => {
      await checks.stop();
      await this.#leave();
    };
  }

  get #canRead(): boolean {
    if (this.#hasFailed || this.#options.health.problems().has('redis')) return false;
    return this.#pingedAtMs === undefined || performance.now() - this.#pingedAtMs < PATIENCE_MS;
  }

  async #check(): Promise<void> {
    const { log } = this.#options;
    if (this.#pingedAtMs === undefined) void this.#ping();
    if (this.#canRead === this.#isMember) return;
    if (this.#isMember) {
      log.warn({ event: 'queue_group_left' }, 'queue group left: this reporter cannot read Redis');
      await this.#leave();
    } else {
      log.info({ event: 'queue_group_joined' }, 'queue group joined again: this reporter reads Redis');
      this.#join();
    }
  }

  async #ping(): Promise<void> {
    this.#pingedAtMs = performance.now();
    try {
      await this.#options.pingRedis();
      this.#hasFailed = false;
    } catch {
      this.#hasFailed = true;
    }
    this.#pingedAtMs = undefined;
  }

  #join(): void {
    const { bus, deployment } = this.#options;
    const queue = queueGroup(deployment, 'reporter');
    this.#isMember = true;
    this.#subscriptions = Array.from(this.#handlers, ([subject, handler]) =>
      bus.subscribe(subject, { queue }, handler),
    );
  }

  async #leave(): Promise<void> {
    const before = this.#subscriptions;
    this.#isMember = false;
    this.#subscriptions = [];
    await Promise.allSettled(before.map((subscription) => subscription.drain()));
  }
}
