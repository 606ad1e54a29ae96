import { setTimeout as delay } from 'node:timers/promises';
import { HEADERS, SUBJECTS } from '../../../common/messages/subjects.ts';
import { parseStart, parseStop, type StartRequest } from '../../demo/controller/admission.ts';
import { ChaosController } from './controller.ts';
import { type ChaosDea, Deas } from './deas.ts';
import type { Fault } from './faults/fault.ts';
import { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import { differences } from './recovery.ts';
import { Referee, type Release, type Verdict } from './referee.ts';
import { APPS, DEAS, HEARTBEAT_MS, INTERVALS, MASS_LOSS, MAX_INSTANCES } from './settings.ts';
import type { Stage } from './stage.ts';
import { Undisturbed } from './undisturbed.ts';

/**
 * The cloud must match the controller's apps within this time after the last fault. It covers `desired_state_lost` for
 * deleted apps, `flapping_timeout` for given-up slots, `droplet_lost` before and after each, and the work itself.
 */
export const RECOVERED_WITHIN_MS = 45_000;
/** How long the cloud must go on matching. */
const RECOVERED_FOR_MS = 500;

/** What the cloud needs of its surroundings. */
export interface CloudStage extends Pick<Stage, 'bus' | 'connected'> {
  truth: Pick<Stage['truth'], 'info'>;
  copies: readonly { name: string; lastRelease: Release }[];
}

interface Options {
  stage: CloudStage;
  random: Random;
  signal: AbortSignal;
}

/** The simulated cloud, with a referee that judges every message before the controller accepts or refuses it. */
export class WatchedCloud {
  readonly ledger = new Ledger();
  readonly undisturbed: Undisturbed;
  readonly deas: Deas;
  readonly controller: ChaosController;
  /** The events of the cloud are drawn from this. */
  readonly random: Random;
  readonly #stage: CloudStage;
  readonly #signal: AbortSignal;
  #withoutHeaders = 0;
  readonly #onStart: ((request: StartRequest) => void)[] = [];

  private constructor({ stage, random, signal }: Options, deas: Deas, controller: ChaosController) {
    this.deas = deas;
    this.controller = controller;
    this.random = random;
    this.#stage = stage;
    this.undisturbed = new Undisturbed((ms) =>
      stage.truth.info({ event: 'machine_stalled', ms: Math.round(ms) }),
    );
    this.#signal = signal;
    this.#subscribe();
  }

  /** Starts a cloud without DEAs and apps. */
  static async start(options: Options): Promise<WatchedCloud> {
    const { stage, random } = options;
    const connected = () => stage.connected();
    const deas = new Deas({
      ...{ nats: stage.bus, connected, random, heartbeatMs: HEARTBEAT_MS },
      ...{ dropletLostMs: INTERVALS.droplet_lost * 1000, truth: stage.truth },
    });
    const controller = await ChaosController.start({ nats: stage.bus, connected, random, deas });
    return new WatchedCloud(options, deas, controller);
  }

  /**
   * Adds DEAs, and apps whose instances all run.
   *
   * @returns the names of the apps
   */
  populate({ deas: deaCount = DEAS, apps = APPS } = {}): string[] {
    const { random, controller } = this;
    const deas = Array.from({ length: deaCount }, () => this.deas.add());
    return Array.from({ length: apps }, () => {
      const name = random.guid();
      controller.put(name, { instances: 1 + random.below(MAX_INSTANCES) });
      const { version, instances } = controller.app(name) as { version: string; instances: number };
      for (let index = 0; index < instances; index++) this.deas.run(random.pick(deas), name, version, index);
      return name;
    });
  }

  /** Calls the listener for every start that the controller accepts. */
  onStart(listener: (request: StartRequest) => void): void {
    this.#onStart.push(listener);
  }

  /**
   * Waits until the cloud matches the controller's apps.
   *
   * @param faults may allow more time than usual
   * @returns the differences that are left when the time is over
   */
  async waitForRecovery(faults: readonly Pick<Fault, 'recoversWithinMs'>[] = []): Promise<string[]> {
    const withinMs = Math.max(...faults.map((fault) => fault.recoversWithinMs ?? 0), RECOVERED_WITHIN_MS);
    const beganMs = this.nowMs();
    let matchingSinceMs: number | undefined;
    for (;;) {
      const found = this.#differences();
      const nowMs = this.nowMs();
      if (found.length > 0) matchingSinceMs = undefined;
      else matchingSinceMs ??= nowMs;
      if (matchingSinceMs !== undefined && nowMs - matchingSinceMs >= RECOVERED_FOR_MS) return [];
      if (found.length > 0 && nowMs - beganMs > withinMs) return found;
      if (this.#signal.aborted) return [];
      await delay(100);
    }
  }

  /** A clock that stands still while the machine is stalled. */
  nowMs(): number {
    return performance.now() - this.undisturbed.stalledMs;
  }

  stop(): void {
    this.deas.stop();
    this.undisturbed.stop();
    this.ledger.stalledMs = this.undisturbed.stalledMs;
  }

  #differences(): string[] {
    const apps = new Map(this.controller.apps().map((app) => [app.name, app]));
    return differences(apps, this.deas.droplets(), (droplet) => this.deas.instancesOf(droplet));
  }

  /** As `mass_loss` counts: an instance on it, which is not evacuated, is at a wanted slot. */
  #shouldRunSomething(dea: ChaosDea): boolean {
    return [...dea.listed.values()].some(({ droplet, version, index, state }) => {
      const desired = this.controller.desired(droplet);
      if (desired === undefined || desired.deletedMs !== undefined || desired.app.state !== 'STARTED')
        return false;
      const isWanted = version === desired.app.version && index < desired.app.instances;
      return isWanted && (state === 'STARTING' || state === 'RUNNING');
    });
  }

  #subscribe(): void {
    const referee = new Referee(
      {
        desired: (droplet) => this.controller.desired(droplet),
        instances: (droplet) => this.deas.instancesOf(droplet, { ended: true }),
        silentSince: (ms) => {
          const counted = [...this.deas.all].filter((dea) => this.#shouldRunSomething(dea));
          const silent = counted.filter(
            (dea) => dea.silentSinceDisconnect && (dea.lastHeartbeatMs ?? 0) <= ms,
          );
          return { silent: silent.length, counted: counted.length };
        },
        lastRelease: () =>
          this.#stage.copies
            .filter(({ name }) => name.startsWith('nudger'))
            .map((nudger) => nudger.lastRelease)
            .reduce((last, release) => (release.releasedMs > last.releasedMs ? release : last)),
        undisturbed: this.undisturbed,
        nowMs: () => performance.now(),
      },
      {
        dropletLostMs: INTERVALS.droplet_lost * 1000,
        desiredStateLostMs: INTERVALS.desired_state_lost * 1000,
        desiredStateUpdateMs: INTERVALS.desired_state_update * 1000,
        massLoss: {
          fraction: MASS_LOSS.fraction,
          minimumDeas: MASS_LOSS.minimum_deas,
          holdMs: MASS_LOSS.hold * 1000,
        },
      },
    );
    for (const kind of ['start', 'stop'] as const) {
      this.#stage.bus.subscribe(SUBJECTS[kind], {
        callback: (_error, message) => {
          const text = message.string();
          // Without headers no message is known as one that was sent before.
          const id = message.headers?.get(HEADERS.messageId) || `without headers ${++this.#withoutHeaders}`;
          const reason = message.headers?.get(HEADERS.reason);
          const description = `${text} (${id}, ${reason})`;
          try {
            if (kind === 'start') this.#start(referee, text, { id, reason }, description);
            else this.#stop(referee, text, id, description);
          } catch (error) {
            this.ledger.malformed(kind, error instanceof Error ? error.message : String(error), description);
          }
        },
      });
    }
  }

  #start(
    referee: Referee,
    text: string,
    { id, reason }: { id: string; reason: string | undefined },
    description: string,
  ): void {
    const request = parseStart(text);
    const verdict = referee.start(request, id, reason);
    this.ledger.message('start', verdict, description);
    this.#noteTruth(verdict, id, request.droplet);
    if (verdict.refused !== undefined || this.controller.down) return;
    for (const listener of this.#onStart) listener(request);
    this.controller.executeStart(request);
  }

  #stop(referee: Referee, text: string, id: string, description: string): void {
    const request = parseStop(text);
    const verdict = referee.stop(request, id);
    this.ledger.message('stop', verdict, description);
    this.#noteTruth(verdict, id, request.droplet);
    if (verdict.refused === undefined && !this.controller.down) this.controller.executeStop(request);
  }

  /** Logs what was true when a message was judged as not right; times as ms before it. */
  #noteTruth({ verdict, why }: Verdict, decision: string, droplet: string): void {
    if (verdict === 'right') return;
    const nowMs = performance.now();
    const instances = this.deas
      .instancesOf(droplet, { ended: true })
      .map(({ dea, ...instance }) =>
        Object.fromEntries(
          Object.entries({ ...instance, dea: dea.id, connected: dea.connected }).map(([field, value]) => [
            field,
            field.endsWith('Ms') && typeof value === 'number' ? Math.round(nowMs - value) : value,
          ]),
        ),
      );
    this.#stage.truth.info({ event: 'not_right', decision, why, instances });
  }
}
