import { type SingleFlight, singleFlight } from './single-flight.ts';

/**
 * A task that runs every so often and never overlaps itself: a run that falls due during another one is left out.
 *
 * The task handles its own errors: a rejection is unhandled, and ends the process.
 */
export class PeriodicTask {
  readonly #run: SingleFlight<unknown>;
  readonly #timer: NodeJS.Timeout;

  /** The first run is after `everyMs`. */
  constructor(everyMs: number, task: () => unknown) {
    this.#run = singleFlight(task);
    this.#timer = setInterval(() => void this.#run(), everyMs);
  }

  /** Runs the task now, or joins the run in progress. */
  async runNow(): Promise<void> {
    await this.#run();
  }

  /** No run begins any more; the one in progress is not waited for. */
  cancel(): void {
    clearInterval(this.#timer);
  }

  /** No run begins any more. Resolves when the one in progress has ended. */
  async stop(): Promise<void> {
    this.cancel();
    await this.#run.idle();
  }
}
