/**
 * For tests: a fleet of simulated apps (`cloud.ts`) on the same DEAs, with the holds of the whole deployment, one bulk
 * sync, and processes that stop and restart.
 */
import type { Desired, Holds, ListeningGap } from '../../../common/model/droplet.ts';
import {
  extendStreak,
  isActualNotFresh,
  isDesiredUnavailable,
  type Streak,
} from '../../../common/policy/fleet/freshness.ts';
import { isLeftOut, isListed } from '../../../common/policy/fleet/liveness.ts';
import {
  type MassDelete,
  massDeleteAfter,
  massDeleteAfterPass,
} from '../../../common/policy/fleet/mass-delete.ts';
import {
  cutoffs,
  type DeaFacts,
  type MassLoss,
  NO_MASS_LOSS,
  nextMassLoss,
} from '../../../common/policy/fleet/mass-loss.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { isWanted } from '../../../common/policy/slots/wanted.ts';
import { evaluationGapMs, watermarkGapMs } from '../../../common/policy/thresholds.ts';
import { desired, droplet } from '../../../common/testing/builders.ts';
import { Cloud } from './cloud.ts';
import {
  type Environment,
  makeDeas,
  type Process,
  setAlive,
  type TrueDea,
  type TrueInstance,
} from './truth.ts';

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
  readonly environment: Environment;
  nowMs: number;
  readonly #options: FleetOptions;
  readonly #back = new Map<Process, number>();
  #listening: Streak | undefined;
  #gaps: ListeningGap[] = [];
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
    this.environment = {
      deas: makeDeas(names, random),
      holds,
      down: new Set(),
      heartbeatsRequested: false,
      cutOff: new Set(),
    };
    this.apps = options.apps.map((instances, n) => {
      const record = droplet({ id: `app-${n}`, firstSeenMs: nowMs, desired: desired({ instances }) });
      return new Cloud(record, [], settings, nowMs, random, this.environment);
    });
  }

  run(seconds: number): void {
    for (let step = 0; step < seconds; step++) this.step();
  }

  step(): void {
    this.nowMs += SECOND;
    const { down } = this.environment;
    this.environment.heartbeatsRequested = false;
    for (const [process, atMs] of this.#back) {
      if (atMs > this.nowMs) continue;
      if (process === 'ingest') this.environment.heartbeatsRequested = true;
      this.#back.delete(process);
      down.delete(process);
      for (const app of this.apps) app.restart(process);
    }
    if (!down.has('ingest')) {
      const before = this.#listening;
      this.#listening = extendStreak(before, this.nowMs, watermarkGapMs(this.#options.settings));
      if (before !== undefined && before.sinceMs !== this.#listening.sinceMs)
        this.#gaps.push({ fromMs: before.untilMs, toMs: this.nowMs });
    }
    this.environment.holds.listeningGaps = this.#currentGaps();
    if (this.apps.some((app) => app.isPassNeeded)) this.#nextPassMs = Math.min(this.#nextPassMs, this.nowMs);
    const passes = !down.has('sync') && this.nowMs >= this.#nextPassMs;
    this.#evaluateHolds(passes);
    for (const app of this.apps) app.step();
    this.#endCuts();
    if (!passes) return;
    this.#nextPassMs = this.nowMs + this.#options.passEveryS * SECOND;
    this.#lastPassMs = this.nowMs;
    const { lastPassBegunMs } = this.environment.holds;
    for (const app of this.apps) {
      // Each app gets the time of the previous pass, which was the last one to list it.
      if (lastPassBegunMs === undefined) delete this.environment.holds.lastPassBegunMs;
      else this.environment.holds.lastPassBegunMs = lastPassBegunMs;
      app.pass();
    }
  }

  /** The past gaps, and the one that lasts. */
  #currentGaps(): ListeningGap[] {
    const fromMs = this.#listening?.untilMs ?? this.nowMs;
    const isOngoing = this.nowMs - fromMs > watermarkGapMs(this.#options.settings);
    return isOngoing ? [...this.#gaps, { fromMs, toMs: Number.POSITIVE_INFINITY }] : this.#gaps;
  }

  /** A network cut ends for a DEA with its next heartbeat. */
  #endCuts(): void {
    const { deas, cutOff } = this.environment;
    for (const dea of deas) if (dea.alive && this.#hasHeartbeatSinceBack(dea)) cutOff.delete(dea.name);
  }

  /** Evaluates the holds of the deployment. When one changes, all apps are reconciled. */
  #evaluateHolds(passes: boolean): void {
    const { settings } = this.#options;
    const { holds, down } = this.environment;
    if (passes) {
      const listed = this.apps.filter(({ isListed }) => isListed).length;
      const live = this.apps.filter(({ record }) => record.instances.length > 0).length;
      this.#massDelete = massDeleteAfterPass(this.#massDelete, listed, live, this.nowMs, settings);
    }
    this.#massDelete = massDeleteAfter(this.#massDelete, this.nowMs, settings);
    if (!down.has('analyzer') && !down.has('cron')) {
      if (this.#massLoss.sinceMs !== undefined || this.#isAnyLate())
        this.#massLoss = nextMassLoss(
          this.#massLoss,
          this.#deaFacts(),
          this.nowMs,
          holds.listeningGaps,
          settings,
        );
      holds.massLossEvaluated = extendStreak(holds.massLossEvaluated, this.nowMs, evaluationGapMs(settings));
    }
    holds.massDelete = this.#massDelete.sinceMs !== undefined;
    holds.massLossDeas = new Set(this.#massLoss.lateDeas);
    const { sinceMs } = this.#massLoss;
    if (sinceMs === undefined) delete holds.massLossSinceMs;
    else holds.massLossSinceMs = sinceMs;
    if (this.#listening !== undefined) holds.heartbeatWatermarkMs = this.#listening.untilMs;
    holds.actualNotFresh = isActualNotFresh(this.#listening, this.nowMs, settings);
    holds.desiredUnavailable = isDesiredUnavailable(this.#lastPassMs, this.nowMs, settings);
    const held = JSON.stringify([holds.massDelete, this.#massLoss.lateDeas, holds.actualNotFresh]);
    const now = `${held} ${holds.desiredUnavailable}`;
    if (now !== this.#held) for (const app of this.apps) app.markDue();
    this.#held = now;
  }

  #isAnyLate(): boolean {
    const known = this.apps[0]?.deaLiveness.values() ?? [];
    const { listeningGaps } = this.environment.holds;
    const { lateBeforeMs } = cutoffs(this.nowMs, listeningGaps, this.#options.settings);
    return [...known].some(({ lastHeartbeatMs }) => lastHeartbeatMs < lateBeforeMs);
  }

  #deaFacts(): DeaFacts[] {
    return this.environment.deas.flatMap(({ name }) => {
      const liveness = this.apps[0]?.deaLiveness.get(name);
      if (liveness === undefined) return [];
      const runsSomething = this.apps.some(({ record }) =>
        record.instances.some(
          (instance) =>
            instance.dea === name &&
            instance.version === record.desired?.version &&
            isWanted(record, instance.index) &&
            (isListed(instance) || isLeftOut(instance, liveness, this.#options.settings)) &&
            instance.state !== 'CRASHED' &&
            !record.exits.some((exit) => exit.instance === instance.guid),
        ),
      );
      return [{ guid: name, ...liveness, runsSomething, shutdown: false }];
    });
  }

  /** Kills all copies of the processes; they restart after `seconds`. */
  kill(processes: readonly Process[], seconds: number): void {
    for (const process of processes) {
      this.environment.down.add(process);
      this.#back.set(process, Math.max(this.#back.get(process) ?? 0, this.nowMs + seconds * SECOND));
    }
  }

  /** A change that the controller announces by `droplet.updated`, or that the next pass finds. */
  change(app: Cloud, change: Partial<Desired>, isAnnounced: boolean): void {
    app.change(change);
    if (!isAnnounced || this.environment.down.has('ingest')) return;
    app.receiveUpdate();
    this.#nextPassMs = Math.min(this.#nextPassMs, this.nowMs + SECOND);
  }

  killDea(name: string): void {
    this.environment.cutOff.delete(name);
    for (const app of this.apps) app.killDea(name);
  }

  /** One DEA loses its network or has it back. */
  setReachable(name: string, alive: boolean): void {
    if (!alive) this.environment.cutOff.delete(name);
    for (const dea of this.environment.deas) if (dea.name === name) setAlive(dea, alive, this.nowMs);
  }

  /** Cuts the network to all DEAs for `seconds`. None of them may be taken for dead. */
  cut(seconds: number): void {
    const { deas, cutOff, holds } = this.environment;
    const alive = deas.filter((dea) => dea.alive);
    const facts = this.#deaFacts();
    const counted = new Set(facts.flatMap(({ guid, runsSomething }) => (runsSomething ? [guid] : [])));
    for (const dea of this.#deasToBeEmptied()) counted.delete(dea);
    const covered = alive.filter((dea) => counted.has(dea.name) && this.#hasHeartbeatSinceBack(dea));
    cutOff.clear();
    // mass_loss may fail to cover this cut if it is on for an earlier one, and ends meanwhile, or if too few DEAs count.
    const isMassLoss =
      holds.massLossDeas.size === 0 && covered.length >= this.#options.settings.massLoss.minimumDeas;
    for (const dea of alive) setAlive(dea, false, this.nowMs);
    if (isMassLoss) for (const { name } of covered) cutOff.add(name);
    this.run(seconds);
    for (const dea of alive) setAlive(dea, true, this.nowMs);
  }

  /**
   * NATS is away for `seconds`; then the DEAs reconnect one by one within eight seconds. None of them may be taken for dead,
   * whatever they run.
   */
  outage(seconds: number): void {
    const { deas, cutOff } = this.environment;
    const alive = deas.filter((dea) => dea.alive);
    const covered = alive.filter((dea) => this.#hasHeartbeatSinceBack(dea));
    cutOff.clear();
    for (const dea of alive) setAlive(dea, false, this.nowMs);
    for (const { name } of covered) cutOff.add(name);
    this.kill(['ingest'], seconds);
    this.run(seconds);
    for (const [n, dea] of alive.entries()) {
      if (n < 8) this.run(1);
      setAlive(dea, true, this.nowMs);
    }
  }

  /** DEAs none of whose instances the controller wants any more, as the next pass will show. */
  #deasToBeEmptied(): string[] {
    const isStillWanted = ({ index, version }: TrueInstance, { desired: wanted, isListed: listed }: Cloud) =>
      listed && wanted.state === 'STARTED' && wanted.version === version && index < wanted.instances;
    const isEmptied = ({ name }: TrueDea) =>
      !this.apps.some((app) => app.instances.some((it) => it.dea === name && isStillWanted(it, app)));
    return this.environment.deas.filter(isEmptied).map(({ name }) => name);
  }

  /** Whether a heartbeat has come since the DEA was last reachable again. Before that it is late earlier than others. */
  #hasHeartbeatSinceBack({ name, aliveMs }: TrueDea): boolean {
    const lastHeartbeatMs = this.apps[0]?.deaLiveness.get(name)?.lastHeartbeatMs;
    return lastHeartbeatMs !== undefined && aliveMs <= lastHeartbeatMs;
  }

  /** Each app that differs from the desired state. */
  get deviations(): string[] {
    return this.apps.flatMap((app) => {
      const { missing, surplus } = app.state;
      if (missing.length + surplus.length === 0) return [];
      return [`${app.record.id}: missing ${missing.join(' ')}; surplus ${surplus.join(' ')}`];
    });
  }

  /**
   * Runs until all apps have been as desired for a minute without a start or a stop, at most `atMostS`. Returns whether
   * that happened. (Messages under way when the last silent DEA comes back may still have effects.)
   */
  runUntilQuiet(atMostS: number): boolean {
    const untilMs = this.nowMs + atMostS * SECOND;
    let quietS = 0;
    for (let sent = this.#sentCount; quietS < 60 && this.nowMs < untilMs; sent = this.#sentCount) {
      this.step();
      quietS = this.#sentCount === sent && this.apps.every((app) => app.isConverged()) ? quietS + 1 : 0;
    }
    return quietS >= 60;
  }

  get #sentCount(): number {
    return this.apps.reduce((sum, { started, stopped }) => sum + started.length + stopped.length, 0);
  }

  get faults(): string[] {
    return this.apps.flatMap(({ harm, refused, record }) => [
      ...harm.map((text) => `${record.id}: ${text}`),
      ...refused.map((message) => `${record.id}: refused: ${JSON.stringify(message)}`),
    ]);
  }
}
