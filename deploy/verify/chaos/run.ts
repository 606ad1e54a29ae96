import { setTimeout as delay } from 'node:timers/promises';
import { happen } from './events.ts';
import { drawFault, type Fault, type Scene } from './faults.ts';
import type { Ledger } from './ledger.ts';
import { Random } from './random.ts';
import { type Stage, setStage } from './stage.ts';
import { WatchedCloud } from './watched-cloud.ts';

/** Faults of a round begin within this. */
const ROUND_MS = 10_000;
const FAULTS_A_ROUND: readonly [number, number] = [1, 7];
/** Every so manyth round has no fault: what happens in the cloud is then judged without any excuse. */
const CALM_EVERY = 8;
/** Between two events of the cloud. */
const EVENT_EVERY_MS: readonly [number, number] = [200, 1_500];

interface Options {
  seconds: number;
  seed: number;
  signal: AbortSignal;
  progress(text: string): void;
}

/** Runs chaos: rounds of faults and events, and after each the wait until the cloud is whole. */
export async function runChaos(options: Options): Promise<{ ledger: Ledger; dir: string }> {
  const stage = await setStage();
  // Of the cloud's own, as what it is asked for depends on time: the plan of faults must not.
  const ofCloud = new Random(options.seed ^ 0x5eed);
  const cloud = await WatchedCloud.start({ stage, random: ofCloud, signal: options.signal });
  try {
    cloud.populate();
    await stage.startHealthManager(cloud.controller.port);
    await cloud.untilWhole();
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
  #happening = false;

  constructor(options: Options, stage: Stage, cloud: WatchedCloud) {
    this.#options = options;
    this.#stage = stage;
    this.#cloud = cloud;
    this.#random = new Random(options.seed);
  }

  async rounds(): Promise<void> {
    const { seconds, signal, progress } = this.#options;
    const cloud = this.#cloud;
    const untilMs = performance.now() + seconds * 1000;
    for (let round = 1; performance.now() < untilMs && !signal.aborted; round++) {
      const calm = round % CALM_EVERY === 0;
      const faults = await this.#disturb(calm, untilMs);
      const beganMs = cloud.nowMs();
      const left = await cloud.untilWhole();
      const what = calm ? 'no faults' : faults.map(({ kind, what }) => `${kind} (${what})`).join(', ');
      if (left.length === 0) {
        const ms = cloud.nowMs() - beganMs;
        cloud.ledger.healed(
          faults.map(({ kind }) => kind),
          ms,
        );
        progress(`round ${round}: ${what}: whole after ${(ms / 1000).toFixed(1)} s`);
      } else {
        cloud.ledger.notHealed(left);
        progress(`round ${round}: ${what}: NOT WHOLE: ${left.length} differences, e.g. ${left[0]}`);
      }
    }
  }

  /** Faults and events side by side; resolves when all faults are over and no host is on its way out. */
  async #disturb(calm: boolean, untilMs: number): Promise<Fault[]> {
    const { hosts } = this.#cloud;
    const [least, most] = FAULTS_A_ROUND;
    const copies = this.#stage.copies.map(({ name }) => name);
    const count = calm ? 0 : least + this.#random.below(most - least + 1);
    const faults = Array.from({ length: count }, () => drawFault(this.#random, copies));
    const starts = faults.map(() => this.#random.between(0, ROUND_MS));
    this.#happening = true;
    const events = this.#happen();
    const roundMs = Math.min(ROUND_MS, Math.max(0, untilMs - performance.now()));
    await Promise.all([
      delay(roundMs),
      ...faults.map(async (fault, at) => {
        await delay(starts[at]);
        await this.#fault(fault);
      }),
    ]);
    this.#happening = false;
    await events;
    while ([...hosts.all].some(({ cutSinceMs, evacuating }) => cutSinceMs !== undefined || evacuating)) {
      await delay(50);
    }
    return faults;
  }

  async #fault(fault: Fault): Promise<void> {
    const { controller, quiet, ledger } = this.#cloud;
    const draft: Scene = { stage: this.#stage, controller, quiet };
    ledger.fault(fault.kind);
    const end = quiet.disturb();
    const { kind, what } = fault;
    this.#stage.truth.info({ event: 'fault_on', kind, what });
    try {
      await fault.run(draft);
    } finally {
      end();
      this.#stage.truth.info({ event: 'fault_off', kind, what });
    }
  }

  async #happen(): Promise<void> {
    const { ledger, random } = this.#cloud;
    while (this.#happening) {
      const name = happen(this.#cloud);
      if (name !== undefined) ledger.event(name);
      await delay(random.between(...EVENT_EVERY_MS));
    }
  }
}
