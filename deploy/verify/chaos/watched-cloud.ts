import { setTimeout as delay } from 'node:timers/promises';
import { HEADERS, SUBJECTS } from '../../../common/messages/subjects.ts';
import { parseStart, parseStop, type StartRequest } from '../../demo/controller/admission.ts';
import { Controller } from './controller.ts';
import { Hosts } from './hosts.ts';
import { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import { differences } from './recovery.ts';
import { Referee } from './referee.ts';
import { APPS, BEAT_MS, HOSTS, INSTANCES_AT_MOST, INTERVALS, MASS_LOSS } from './settings.ts';
import type { Stage } from './stage.ts';
import { Quiet } from './undisturbed.ts';

/**
 * Within this of the last disturbance everything must be as the controller wants it: `desired_state_lost` for what
 * is deleted, `flapping_timeout` for what was given up, `droplet_lost` before and after each, and the work itself.
 */
export const WHOLE_WITHIN_MS = 45_000;
/** And stay so for this long. */
const WHOLE_FOR_MS = 500;

interface Options {
  stage: Stage;
  random: Random;
  signal: AbortSignal;
}

/** The simulated cloud, and the referee that looks at every message before the controller does. */
export class WatchedCloud {
  readonly ledger = new Ledger();
  readonly quiet: Quiet;
  readonly hosts: Hosts;
  readonly controller: Controller;
  /** What happens in the cloud is drawn from this. */
  readonly random: Random;
  readonly #stage: Stage;
  readonly #signal: AbortSignal;
  readonly #onStart: ((request: StartRequest) => void)[] = [];

  private constructor({ stage, random, signal }: Options, hosts: Hosts, controller: Controller) {
    this.hosts = hosts;
    this.controller = controller;
    this.random = random;
    this.#stage = stage;
    this.quiet = new Quiet((ms) => stage.truth.info({ event: 'machine_too_busy', ms: Math.round(ms) }));
    this.#signal = signal;
    this.#listen();
  }

  /** Without hosts and apps yet. */
  static async start(options: Options): Promise<WatchedCloud> {
    const { stage, random } = options;
    const connected = () => stage.connected();
    const hosts = new Hosts({
      ...{ nats: stage.bus, connected, random, beatMs: BEAT_MS },
      ...{ dropletLostMs: INTERVALS.droplet_lost * 1000, truth: stage.truth },
    });
    const controller = await Controller.start({ nats: stage.bus, connected, random, hosts });
    return new WatchedCloud(options, hosts, controller);
  }

  /** Hosts, and apps of which every instance runs. @returns their names */
  populate(): string[] {
    const { random, controller } = this;
    const hosts = Array.from({ length: HOSTS }, () => this.hosts.add());
    return Array.from({ length: APPS }, () => {
      const name = random.guid();
      controller.put(name, { instances: 1 + random.below(INSTANCES_AT_MOST) });
      const { version, instances } = controller.app(name) as { version: string; instances: number };
      for (let index = 0; index < instances; index++)
        this.hosts.run(random.pick(hosts), name, version, index);
      return name;
    });
  }

  /** Is told of every start that the controller accepts. */
  onStart(listener: (request: StartRequest) => void): void {
    this.#onStart.push(listener);
  }

  /** @returns what is not whole within the bound */
  async untilWhole(): Promise<string[]> {
    const beganMs = this.nowMs();
    let wholeSinceMs: number | undefined;
    for (;;) {
      const found = this.#differences();
      const nowMs = this.nowMs();
      if (found.length > 0) wholeSinceMs = undefined;
      else wholeSinceMs ??= nowMs;
      if (wholeSinceMs !== undefined && nowMs - wholeSinceMs >= WHOLE_FOR_MS) return [];
      if (found.length > 0 && nowMs - beganMs > WHOLE_WITHIN_MS) return found;
      if (this.#signal.aborted) return [];
      await delay(100);
    }
  }

  /** A clock that stands still while the whole machine does. */
  nowMs(): number {
    return performance.now() - this.quiet.stalledMs;
  }

  stop(): void {
    this.hosts.stop();
    this.quiet.stop();
    this.ledger.stalledMs = this.quiet.stalledMs;
  }

  #differences(): string[] {
    const apps = new Map(this.controller.apps().map((app) => [app.name, app]));
    return differences(apps, this.hosts.droplets(), (droplet) => this.hosts.of(droplet));
  }

  #listen(): void {
    const referee = new Referee(
      {
        wish: (droplet) => this.controller.wish(droplet),
        instances: (droplet) => this.hosts.of(droplet, { ended: true }),
        cutShareSince: (ms) => {
          const all = [...this.hosts.all];
          const cut = all.filter((host) => host.unheardSinceCut && (host.lastBeatMs ?? 0) <= ms);
          return cut.length / all.length;
        },
        heldUpMs: () => Math.max(...this.#stage.copies.map((copy) => copy.heldUpMs)),
        quiet: this.quiet,
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
    if (finding.refused !== undefined || this.controller.down) return;
    for (const listener of this.#onStart) listener(request);
    this.controller.accept(request);
  }

  #stop(referee: Referee, text: string, id: string, told: string): void {
    const request = parseStop(text);
    const finding = referee.stop(request, id);
    this.ledger.message('stop', finding, told);
    if (finding.refused === undefined && !this.controller.down) this.controller.acceptStop(request);
  }
}
