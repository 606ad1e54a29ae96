/**
 * For tests: a fleet of pure clouds (`testing-cloud.ts`) on the same DEAs, with the holds of the whole deployment, one
 * bulk sync, and processes that go and come back.
 */
import type { Desired, Holds } from '../../../common/model/droplet.ts';
import {
  extendStreak,
  isActualNotFresh,
  isDesiredUnavailable,
  type Streak,
} from '../../../common/policy/freshness.ts';
import { type MassDelete, massDeleteAfter, massDeleteAfterPass } from '../../../common/policy/mass-delete.ts';
import {
  type DeaFacts,
  type MassLoss,
  NO_MASS_LOSS,
  nextMassLoss,
} from '../../../common/policy/mass-loss.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { evaluationGapMs, lateAfterMs, watermarkGapMs } from '../../../common/policy/thresholds.ts';
import { desired, droplet } from '../../../common/testing/builders.ts';
import { Cloud } from './cloud.ts';
import { makeDeas, type Process, type Surroundings, type TrueDea, turn } from './truth.ts';

const SECOND = 1000;

export interface FleetOptions {
  settings: PolicySettings;
  /** Bulk sync period. */
  passEveryS: number;
  deas: number;
  /** Instances that each app wants. */
  apps: number[];
  nowMs: number;
  random: () => number;
}

export class Fleet {
  readonly apps: Cloud[];
  readonly around: Surroundings;
  nowMs: number;
  readonly #options: FleetOptions;
  readonly #back = new Map<Process, number>();
  #listening: Streak | undefined;
  #massLoss: MassLoss = NO_MASS_LOSS;
  #massDelete: MassDelete = {};
  #lastPassMs: number | undefined;
  #nextPassMs: number;
  #held = '';

  constructor(options: FleetOptions) {
    const { nowMs, random, settings } = options;
    this.#options = options;
    this.nowMs = nowMs;
    this.#nextPassMs = nowMs + 2 * SECOND;
    const holds: Holds = {
      desiredUnavailable: true,
      actualNotFresh: true,
      massLossDeas: new Set(),
      massDelete: false,
    };
    const names = Array.from({ length: options.deas }, (_, n) => `dea-${n}`);
    this.around = { deas: makeDeas(names, random), holds, away: new Set(), asked: false, cut: new Set() };
    this.apps = options.apps.map((instances, n) => {
      const record = droplet({ id: `app-${n}`, firstSeenMs: nowMs, desired: desired({ instances }) });
      return new Cloud(record, [], settings, nowMs, random, this.around);
    });
  }

  run(seconds: number): void {
    for (let step = 0; step < seconds; step++) this.step();
  }

  step(): void {
    this.nowMs += SECOND;
    const { away } = this.around;
    this.around.asked = false;
    for (const [process, atMs] of this.#back) {
      if (atMs > this.nowMs) continue;
      if (process === 'ingest') this.around.asked = true;
      this.#back.delete(process);
      away.delete(process);
      for (const app of this.apps) app.restart(process);
    }
    if (!away.has('ingest')) {
      this.#listening = extendStreak(this.#listening, this.nowMs, watermarkGapMs(this.#options.settings));
    }
    const passes = !away.has('sync') && this.nowMs >= this.#nextPassMs;
    this.#judge(passes);
    for (const app of this.apps) app.step();
    this.#uncut();
    if (!passes) return;
    this.#nextPassMs = this.nowMs + this.#options.passEveryS * SECOND;
    this.#lastPassMs = this.nowMs;
    const { lastPassBegunMs } = this.around.holds;
    for (const app of this.apps) {
      // Each app is told of the pass before, which is what it was last listed by.
      if (lastPassBegunMs === undefined) delete this.around.holds.lastPassBegunMs;
      else this.around.holds.lastPassBegunMs = lastPassBegunMs;
      app.pass();
    }
  }

  /** A cut is over for a DEA when it has been heard again. */
  #uncut(): void {
    const { deas, cut } = this.around;
    for (const dea of deas) if (dea.alive && this.#wasHeard(dea)) cut.delete(dea.name);
  }

  /** Which holds are on; what they kept back is looked at when one goes. */
  #judge(passes: boolean): void {
    const { settings } = this.#options;
    const { holds, away } = this.around;
    if (passes) {
      const listed = this.apps.filter(({ isListed }) => isListed).length;
      this.#massDelete = massDeleteAfterPass(this.#massDelete, listed, this.nowMs, settings);
    }
    this.#massDelete = massDeleteAfter(this.#massDelete, this.nowMs, settings);
    if (!away.has('analyzer') && !away.has('cron')) {
      if (this.#massLoss.sinceMs !== undefined || this.#isAnyLate())
        this.#massLoss = nextMassLoss(this.#massLoss, this.#deaFacts(), this.nowMs, settings);
      holds.massLossEvaluated = extendStreak(holds.massLossEvaluated, this.nowMs, evaluationGapMs(settings));
    }
    holds.massDelete = this.#massDelete.sinceMs !== undefined;
    holds.massLossDeas = new Set(this.#massLoss.lateDeas);
    if (this.#listening !== undefined) holds.heartbeatWatermarkMs = this.#listening.untilMs;
    holds.actualNotFresh = isActualNotFresh(this.#listening, this.nowMs, settings);
    holds.desiredUnavailable = isDesiredUnavailable(this.#lastPassMs, this.nowMs, settings);
    const held = JSON.stringify([holds.massDelete, this.#massLoss.lateDeas, holds.actualNotFresh]);
    const now = `${held} ${holds.desiredUnavailable}`;
    if (now !== this.#held) for (const app of this.apps) app.touch();
    this.#held = now;
  }

  #isAnyLate(): boolean {
    const heard = this.apps[0]?.heard.values() ?? [];
    const lateMs = this.nowMs - lateAfterMs(this.#options.settings);
    return [...heard].some(({ lastHeartbeatMs }) => lastHeartbeatMs < lateMs);
  }

  #deaFacts(): DeaFacts[] {
    return this.around.deas.flatMap(({ name }) => {
      const lastHeartbeatMs = this.apps[0]?.heard.get(name)?.lastHeartbeatMs;
      if (lastHeartbeatMs === undefined) return [];
      const runsSomething = this.apps.some(({ record }) =>
        record.instances.some(
          ({ dea, guid, state, lastListedMs }) =>
            dea === name &&
            lastListedMs === undefined &&
            state !== 'CRASHED' &&
            !record.exits.some((exit) => exit.instance === guid),
        ),
      );
      return [{ guid: name, lastHeartbeatMs, runsSomething, shutdown: false }];
    });
  }

  /** All copies of the processes are killed, and back after a while. */
  kill(processes: readonly Process[], seconds: number): void {
    for (const process of processes) {
      this.around.away.add(process);
      this.#back.set(process, Math.max(this.#back.get(process) ?? 0, this.nowMs + seconds * SECOND));
    }
  }

  /** A change that is told (`droplet.updated`) or found by the next pass. */
  change(app: Cloud, change: Partial<Desired>, isTold: boolean): void {
    app.change(change);
    if (!isTold || this.around.away.has('ingest')) return;
    app.hearUpdate();
    this.#nextPassMs = Math.min(this.#nextPassMs, this.nowMs + SECOND);
  }

  killDea(name: string): void {
    this.around.cut.delete(name);
    for (const app of this.apps) app.killDea(name);
  }

  setHeard(name: string, alive: boolean): void {
    if (!alive) this.around.cut.delete(name);
    for (const dea of this.around.deas) if (dea.name === name) turn(dea, alive, this.nowMs);
  }

  /** The network is cut off from all DEAs for a while; of none of them may anybody think that it is dead. */
  cut(seconds: number): void {
    const { deas, cut, holds } = this.around;
    const alive = deas.filter((dea) => dea.alive);
    const full = new Set(this.#deaFacts().flatMap((dea) => (dea.runsSomething ? [dea.guid] : [])));
    const counted = alive.filter((dea) => full.has(dea.name) && this.#wasHeard(dea));
    // A hold that is on, perhaps for a cut before this one, may end meanwhile; and so few are no mass.
    cut.clear();
    const isMass =
      holds.massLossDeas.size === 0 && counted.length >= this.#options.settings.massLoss.minimumDeas;
    for (const dea of alive) turn(dea, false, this.nowMs);
    if (isMass) for (const { name } of counted) cut.add(name);
    this.run(seconds);
    for (const dea of alive) turn(dea, true, this.nowMs);
  }

  /** One that was silent by itself before may be lost before the others are late. */
  #wasHeard({ name, aliveMs }: TrueDea): boolean {
    const lastHeartbeatMs = this.apps[0]?.heard.get(name)?.lastHeartbeatMs;
    return lastHeartbeatMs !== undefined && aliveMs <= lastHeartbeatMs;
  }

  /** What is not as the controller wants it. */
  get wrong(): string[] {
    return this.apps.flatMap((app) => {
      const { missing, surplus } = app.state;
      if (missing.length + surplus.length === 0) return [];
      return [`${app.record.id}: missing ${missing.join(' ')}; surplus ${surplus.join(' ')}`];
    });
  }

  /**
   * Whether everything came to be as desired, and nothing was asked for any more for a minute, all of it in time. (What
   * is on its way when the last silent DEA is back may still do its work.)
   */
  runUntilCalm(atMostS: number): boolean {
    const untilMs = this.nowMs + atMostS * SECOND;
    let calmS = 0;
    for (let asked = this.#asked; calmS < 60 && this.nowMs < untilMs; asked = this.#asked) {
      this.step();
      calmS = this.#asked === asked && this.apps.every((app) => app.isConverged()) ? calmS + 1 : 0;
    }
    return calmS >= 60;
  }

  get #asked(): number {
    return this.apps.reduce((sum, { started, stopped }) => sum + started.length + stopped.length, 0);
  }

  get faults(): string[] {
    return this.apps.flatMap(({ harm, refused, record }) => [
      ...harm.map((text) => `${record.id}: ${text}`),
      ...refused.map((message) => `${record.id}: refused: ${JSON.stringify(message)}`),
    ]);
  }
}
