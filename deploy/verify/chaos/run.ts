import { setTimeout as delay } from 'node:timers/promises';
import { drawEvent, triggerEvent } from './events.ts';
import type { Fault, FaultTarget } from './faults/fault.ts';
import { FaultDeck } from './faults/faults.ts';
import type { Ledger } from './ledger.ts';
import { Random } from './random.ts';
import { type Stage, startStage } from './stage.ts';
import { WatchedCloud } from './watched-cloud.ts';

/** The faults of a round begin within this time. */
const ROUND_MS = 10_000;
const FAULTS_A_ROUND: readonly [number, number] = [1, 7];
/** One round in this many has no fault, so that the referee judges the events of the cloud without excuses. */
const FAULTLESS_EVERY = 8;
/** The time between two events of the cloud. */
const EVENT_EVERY_MS: readonly [number, number] = [200, 1_500];

interface Options {
  seconds: number;
  seed: number;
  /** Draws only faults of these kinds. */
  kinds: readonly string[] | undefined;
  /** Draws only events of these kinds. */
  events: readonly string[] | undefined;
  signal: AbortSignal;
  progress(text: string): void;
}

/** Runs rounds of faults and events, and waits after each one until the cloud has recovered. */
export async function runChaos(options: Options): Promise<{ ledger: Ledger; dir: string }> {
  const stage = await startStage();
  // The cloud draws as often as requests arrive, which depends on time. The faults must not, so they have their own generator.
  const cloudRandom = new Random(options.seed ^ 0x5eed);
  const cloud = await WatchedCloud.start({ stage, random: cloudRandom, signal: options.signal });
  try {
    cloud.populate();
    await stage.startHealthManager(cloud.controller.port);
    await cloud.waitForRecovery();
    await new Run(options, stage, cloud).rounds();
  } finally {
    cloud.stop();
    await stage.close();
    await cloud.controller.close();
  }
  return { ledger: cloud.ledger, dir: stage.dir };
}

class Run {
  readonly #options: Options;
  readonly #stage: Stage;
  readonly #cloud: WatchedCloud;
  readonly #random: Random;
  readonly #deck: FaultDeck;
  readonly #target: FaultTarget;
  readonly #repairs: { fault: Fault; end(): void }[] = [];
  #eventsRunning = false;

  constructor(options: Options, stage: Stage, cloud: WatchedCloud) {
    this.#options = options;
    this.#stage = stage;
    this.#cloud = cloud;
    this.#random = new Random(options.seed);
    this.#deck = new FaultDeck(this.#random, options.kinds);
    const { controller, undisturbed, deas } = cloud;
    this.#target = { stage, controller, undisturbed, deas };
  }

  async rounds(): Promise<void> {
    const { seconds, signal, progress } = this.#options;
    const cloud = this.#cloud;
    const untilMs = performance.now() + seconds * 1000;
    for (let round = 1; performance.now() < untilMs && !signal.aborted; round++) {
      const isFaultless = round % FAULTLESS_EVERY === 0;
      const faults = await this.#disturb(isFaultless, untilMs);
      const beganMs = cloud.nowMs();
      const left = await cloud.waitForRecovery(faults);
      await this.#repair();
      const what = isFaultless ? 'no faults' : faults.map(({ kind, what }) => `${kind} (${what})`).join(', ');
      if (left.length === 0) {
        const ms = cloud.nowMs() - beganMs;
        cloud.ledger.recovered(
          faults.map(({ kind }) => kind),
          ms,
        );
        progress(`round ${round}: ${what}: recovered after ${(ms / 1000).toFixed(1)} s`);
      } else {
        cloud.ledger.notRecovered(left);
        progress(`round ${round}: ${what}: NOT RECOVERED: ${left.length} differences, e.g. ${left[0]}`);
      }
    }
  }

  /** Runs faults and events together. Resolves when all faults are over, and no DEA is disconnected or evacuated. */
  async #disturb(isFaultless: boolean, untilMs: number): Promise<Fault[]> {
    const { deas } = this.#cloud;
    const [min, max] = FAULTS_A_ROUND;
    const copies = this.#stage.copies.map(({ name }) => name);
    const count = isFaultless ? 0 : min + this.#random.below(max - min + 1);
    const faults = Array.from({ length: count }, () => this.#deck.draw(copies));
    const starts = faults.map(() => this.#random.between(0, ROUND_MS));
    this.#eventsRunning = true;
    const events = this.#triggerEvents();
    const roundMs = Math.min(ROUND_MS, Math.max(0, untilMs - performance.now()));
    await Promise.all([
      delay(roundMs),
      ...faults.map(async (fault, at) => {
        await delay(starts[at]);
        await this.#runFault(fault);
      }),
    ]);
    this.#eventsRunning = false;
    await events;
    while ([...deas.all].some(({ connected, evacuating, lies }) => !connected || evacuating || lies)) {
      await delay(50);
    }
    return faults;
  }

  async #runFault(fault: Fault): Promise<void> {
    const { undisturbed, ledger } = this.#cloud;
    ledger.fault(fault.kind);
    const { kind, what } = fault;
    const end = undisturbed.disturb();
    this.#stage.truth.info({ event: 'fault_started', kind, what });
    try {
      await fault.run(this.#target);
    } finally {
      if (fault.repair === undefined) end();
      else this.#repairs.push({ fault, end });
      this.#stage.truth.info({ event: 'fault_ended', kind, what });
    }
  }

  /** Ends the faults that lasted beyond the recovery. */
  async #repair(): Promise<void> {
    for (const { fault, end } of this.#repairs.splice(0)) {
      await fault.repair?.(this.#target);
      end();
    }
  }

  async #triggerEvents(): Promise<void> {
    const { ledger, random } = this.#cloud;
    while (this.#eventsRunning) {
      const name = triggerEvent(this.#cloud, drawEvent(random, this.#options.events));
      if (name !== undefined) ledger.event(name);
      await delay(random.between(...EVENT_EVERY_MS));
    }
  }
}
