import type { Bus } from '../../../common/nats/bus.ts';
import type { Registration } from '../../../common/redis/fleet/processes/registration.ts';
import type { ManualClock } from '../../../common/testing/context.ts';
import type { Processes } from './processes.ts';
import { pollPause, type Quiescence } from './quiescence.ts';
import type { ScriptedDea } from './scripted-dea.ts';

interface Options {
  clock: ManualClock;
  processes: Processes;
  deas: ReadonlyMap<string, ScriptedDea>;
  quiescence: Quiescence;
  /** The test's own connection to NATS. */
  bus: Bus;
  /** `tick` leaves delayed jobs in their queues. */
  queueTimersFail: boolean;
}

/** The heartbeat interval of DEAs. */
const HEARTBEAT_MS = 10_000;
/** The clock moves in steps of this: a longer gap between watermarks than droplet_lost / 3 would raise a hold. */
const STEP_MS = 5_000;

/** Moves the time of a deployment, and waits until the processes have done everything that is due. */
export class TimeDriver {
  /** Whether ticks happen. Without ticks, analyzers only reconcile what events name. */
  isTicking = true;
  /** Entries of processes that are not part of the deployment: they are written at each tick, too. */
  readonly otherRegistrations: Registration[] = [];
  readonly #options: Options;
  #nextHeartbeatMs: number;

  constructor(options: Options) {
    this.#options = options;
    this.#nextHeartbeatMs = options.clock.nowMs() + HEARTBEAT_MS;
  }

  /** All connections to NATS, the test's first: its messages have reached the server when the others are flushed. */
  get buses(): [Bus, ...Bus[]] {
    const { bus, processes } = this.#options;
    return [bus, ...processes.buses];
  }

  /** Moves time on, with heartbeats every ten seconds, syncs when they are due, and ticks. */
  async advance(seconds: number): Promise<void> {
    const untilMs = this.#options.clock.nowMs() + Math.round(seconds * 1000);
    while (this.#options.clock.nowMs() < untilMs) {
      const nowMs = this.#options.clock.nowMs();
      this.#options.clock.set(Math.min(nowMs + STEP_MS, untilMs, Math.max(this.#nextHeartbeatMs, nowMs + 1)));
      if (this.#options.clock.nowMs() >= this.#nextHeartbeatMs) {
        for (const dea of this.#options.deas.values()) dea.sendHeartbeat();
        this.#nextHeartbeatMs += HEARTBEAT_MS;
      }
      await this.tick();
    }
  }

  /** Runs every periodic task once without moving the clock: watermarks, the sync's timer, due jobs, the tick. */
  async tick(): Promise<void> {
    await this.flush();
    const { running } = this.#options.processes;
    const registrations = [...running.map(({ registration }) => registration), ...this.otherRegistrations];
    await Promise.all(registrations.map((registration) => registration.write()));
    await Promise.all(
      running.map(async ({ ingest }) => {
        await ingest?.publishWatermark(); // may have begun before the clock was moved
        await ingest?.publishWatermark();
      }),
    );
    await Promise.all(running.map(({ sync }) => sync?.check()));
    if (!this.#options.queueTimersFail && this.#runs('nudger'))
      await this.#options.quiescence.promoteDueJobs();
    await this.#tickAnalyzers();
    await this.settle();
  }

  /** Waits until nothing is left to do without moving the clock. */
  async settle(): Promise<void> {
    // Two quiet rounds, since the first may have fallen between an action and the work that it caused.
    for (let quietRounds = 0; quietRounds < 2; ) {
      const messages = this.#messageCount();
      await this.flush();
      // Due droplets first: a tick of the cron may have dispatched them already, and then they count as work in hand.
      const isDue =
        this.#runs('analyzer') && this.isTicking && (await this.#options.quiescence.dueCount()) > 0;
      if (isDue) await this.#tickAnalyzers();
      const isBusy = await this.#options.quiescence.isBusy((name) => this.#runs(name));
      quietRounds = isDue || isBusy || this.#messageCount() !== messages ? 0 : quietRounds + 1;
      if (quietRounds === 0) await pollPause();
    }
    await this.flush();
    for (const dea of this.#options.deas.values()) dea.markProcessed(this.#runs('ingest'));
  }

  #runs(name: string): boolean {
    // Without NATS a nudger holds its jobs and waits.
    if (name === 'nudger' && !this.#options.bus.connected()) return false;
    return this.#options.processes.running.some((process) => process.name === name);
  }

  async #tickAnalyzers(): Promise<void> {
    if (!this.isTicking) return;
    await Promise.all(this.#options.processes.running.map(({ analyzer }) => analyzer?.tick()));
  }

  /** Returns when every published message has been delivered to every process and stored. */
  async flush(): Promise<void> {
    if (!this.#options.bus.connected()) return;
    const [own, ...others] = this.buses;
    await own.flush();
    await Promise.all(others.map((bus) => bus.flush()));
    await Promise.all(this.#options.processes.running.map(({ ingest }) => ingest?.idle()));
  }

  /** Messages sent and received so far. A change shows that a message caused another one after the flush. */
  #messageCount(): number {
    const all = this.buses.map(({ connection }) => connection.stats());
    return all.reduce((sum, { inMsgs, outMsgs }) => sum + inMsgs + outMsgs, 0);
  }
}
