import { setTimeout as delay } from 'node:timers/promises';
import { HEADERS, SUBJECTS } from '../../common/subjects.ts';
import { parseStart, parseStop } from '../cloud/admission.ts';
import { Controller } from './controller.ts';
import { happen } from './events.ts';
import { drawFault, type Fault, type Scene } from './faults.ts';
import { Hosts } from './hosts.ts';
import { Ledger } from './ledger.ts';
import { Quiet } from './quiet.ts';
import { Random } from './random.ts';
import { Referee } from './referee.ts';
import { APPS, BEAT_MS, HOSTS, INSTANCES_AT_MOST, INTERVALS, MASS_LOSS } from './settings.ts';
import { type Stage, setStage } from './stage.ts';
import { differences } from './whole.ts';

/**
 * After the last fault of a round everything must be as the controller wants it within this: `desired_state_lost` for what
 * is deleted, `flapping_timeout` for what was given up, `droplet_lost` before and after each, and the work itself.
 */
export const WHOLE_WITHIN_MS = 45_000;
/** And stay so for this long. */
const WHOLE_FOR_MS = 500;
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
  const random = new Random(options.seed);
  // Of its own, as what it is asked for depends on time: the plan of faults must not.
  const ofCloud = new Random(options.seed ^ 0x5eed);
  const connected = () => stage.connected();
  const hosts = new Hosts({
    ...{ nats: stage.bus, connected, random: ofCloud, beatMs: BEAT_MS },
    dropletLostMs: INTERVALS.droplet_lost * 1000,
  });
  const controller = await Controller.start({ nats: stage.bus, connected, random: ofCloud, hosts });
  const run = new Run(options, stage, hosts, controller, random, ofCloud);
  try {
    await run.populate();
    await run.rounds();
  } finally {
    run.stop();
    hosts.stop();
    await stage.close();
    await controller.close();
  }
  return { ledger: run.ledger, dir: stage.dir };
}

class Run {
  readonly ledger = new Ledger();
  readonly #options: Options;
  readonly #stage: Stage;
  readonly #hosts: Hosts;
  readonly #controller: Controller;
  readonly #random: Random;
  readonly #ofCloud: Random;
  readonly #quiet = new Quiet();
  #happening = false;

  constructor(
    options: Options,
    stage: Stage,
    hosts: Hosts,
    controller: Controller,
    random: Random,
    ofCloud: Random,
  ) {
    this.#options = options;
    this.#stage = stage;
    this.#hosts = hosts;
    this.#controller = controller;
    this.#random = random;
    this.#ofCloud = ofCloud;
    this.#listen();
  }

  /** The cloud as it is at first: every app whole, and the health manager beside it. */
  async populate(): Promise<void> {
    const hosts = Array.from({ length: HOSTS }, () => this.#hosts.add());
    for (let n = 0; n < APPS; n++) {
      const name = this.#ofCloud.guid();
      this.#controller.put(name, { instances: 1 + this.#ofCloud.below(INSTANCES_AT_MOST) });
      const { version, instances } = this.#controller.app(name) as { version: string; instances: number };
      for (let index = 0; index < instances; index++) {
        this.#hosts.run(this.#ofCloud.pick(hosts), name, version, index);
      }
    }
    await this.#stage.startHealthManager(this.#controller.port);
    await this.#untilWhole();
  }

  stop(): void {
    this.#quiet.stop();
    this.ledger.stalledMs = this.#quiet.stalledMs;
  }

  async rounds(): Promise<void> {
    const { seconds, signal, progress } = this.#options;
    const untilMs = performance.now() + seconds * 1000;
    for (let round = 1; performance.now() < untilMs && !signal.aborted; round++) {
      const calm = round % CALM_EVERY === 0;
      const faults = await this.#disturb(calm, untilMs);
      const beganMs = this.#nowMs();
      const left = await this.#untilWhole();
      const what = calm ? 'no faults' : faults.map(({ kind, what }) => `${kind} (${what})`).join(', ');
      if (left.length === 0) {
        const ms = this.#nowMs() - beganMs;
        this.ledger.healed(
          faults.map(({ kind }) => kind),
          ms,
        );
        progress(`round ${round}: ${what}: whole after ${(ms / 1000).toFixed(1)} s`);
      } else {
        this.ledger.notHealed(left);
        progress(`round ${round}: ${what}: NOT WHOLE: ${left.length} differences, e.g. ${left[0]}`);
      }
    }
  }

  /** Faults and events side by side; resolves when all faults are over and no host is on its way out. */
  async #disturb(calm: boolean, untilMs: number): Promise<Fault[]> {
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
    while (
      [...this.#hosts.all].some(({ cutSinceMs, evacuating }) => cutSinceMs !== undefined || evacuating)
    ) {
      await delay(50);
    }
    return faults;
  }

  async #fault(fault: Fault): Promise<void> {
    const scene: Scene = { stage: this.#stage, controller: this.#controller, quiet: this.#quiet };
    this.ledger.fault(fault.kind);
    const end = this.#quiet.disturb();
    try {
      await fault.run(scene);
    } finally {
      end();
    }
  }

  async #happen(): Promise<void> {
    const world = { hosts: this.#hosts, controller: this.#controller, random: this.#ofCloud };
    while (this.#happening) {
      const name = happen(world);
      if (name !== undefined) this.ledger.event(name);
      await delay(this.#ofCloud.between(...EVENT_EVERY_MS));
    }
  }

  /** @returns what is not whole within the bound */
  async #untilWhole(): Promise<string[]> {
    const beganMs = this.#nowMs();
    let wholeSinceMs: number | undefined;
    for (;;) {
      const found = this.#differences();
      const nowMs = this.#nowMs();
      if (found.length > 0) wholeSinceMs = undefined;
      else wholeSinceMs ??= nowMs;
      if (wholeSinceMs !== undefined && nowMs - wholeSinceMs >= WHOLE_FOR_MS) return [];
      if (found.length > 0 && nowMs - beganMs > WHOLE_WITHIN_MS) return found;
      if (this.#options.signal.aborted) return [];
      await delay(100);
    }
  }

  /** A clock that stands still while the whole machine does. */
  #nowMs(): number {
    return performance.now() - this.#quiet.stalledMs;
  }

  #differences(): string[] {
    const apps = new Map(this.#controller.apps().map((app) => [app.name, app]));
    return differences(apps, this.#hosts.droplets(), (droplet) => this.#hosts.of(droplet));
  }

  /** The referee looks at every message before the controller does. */
  #listen(): void {
    const referee = new Referee(
      {
        wish: (droplet) => this.#controller.wish(droplet),
        instances: (droplet) => this.#hosts.of(droplet, { ended: true }),
        cutShare: () => {
          const all = [...this.#hosts.all];
          return all.filter(({ cutSinceMs }) => cutSinceMs !== undefined).length / all.length;
        },
        quiet: this.#quiet,
        nowMs: () => performance.now(),
      },
      {
        dropletLostMs: INTERVALS.droplet_lost * 1000,
        desiredStateLostMs: INTERVALS.desired_state_lost * 1000,
        massLossFraction: MASS_LOSS.fraction,
      },
    );
    for (const kind of ['start', 'stop'] as const) {
      this.#stage.bus.subscribe(SUBJECTS[kind], {
        callback: (_error, message) => {
          const text = message.string();
          const id = message.headers?.get(HEADERS.messageId) ?? '';
          const told = `${text} (${id}, ${message.headers?.get(HEADERS.reason)})`;
          try {
            if (kind === 'start') this.#start(referee, text, id, told);
            else this.#stop(referee, text, id, told);
          } catch (error) {
            this.ledger.malformed(kind, error instanceof Error ? error.message : String(error), told);
          }
        },
      });
    }
  }

  #start(referee: Referee, text: string, id: string, told: string): void {
    const request = parseStart(text);
    const finding = referee.start(request, id);
    this.ledger.message('start', finding, told);
    if (finding.refused === undefined && !this.#controller.down) this.#controller.accept(request);
  }

  #stop(referee: Referee, text: string, id: string, told: string): void {
    const request = parseStop(text);
    const finding = referee.stop(request, id);
    this.ledger.message('stop', finding, told);
    if (finding.refused === undefined && !this.#controller.down) this.#controller.acceptStop(request);
  }
}
