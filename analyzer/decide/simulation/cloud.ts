/**
 * For tests: a pure simulation of one app around `decide`. DEAs run and list its instances, a controller checks starts
 * and stops and places instances, queues delay and lose jobs, and heartbeats and exits change the record.
 *
 * A step is a second. The droplet is reconciled only after an event or when its last decision requeued it.
 *
 * Many of these with processes that stop and restart make a fleet: `fleet.ts`.
 */
import type { StartMessage, StopMessage } from '../../../common/messages/outgoing.ts';
import type { DeaLiveness, Desired, Droplet, Exit, Holds } from '../../../common/model/droplet.ts';
import type { ExitReason } from '../../../common/model/reasons.ts';
import { listenedAgoMs } from '../../../common/policy/fleet/listening-time.ts';
import { lostBefore } from '../../../common/policy/fleet/liveness.ts';
import { Recheck } from '../../../common/policy/recheck.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { deaExpiryMs } from '../../../common/policy/thresholds.ts';
import { type Decision, decide } from '../decide.ts';
import type { StartDecision, StopDecision } from '../decision.ts';
import { isStartAccepted, isStopAccepted } from './controller.ts';
import { applyDecision, reload } from './fixtures.ts';
import { afterExit, afterHeartbeat } from './record.ts';
import {
  type CloudState,
  harmOfRename,
  harmOfSilence,
  harmOfStart,
  harmOfStop,
  isKnownRunning,
} from './safety.ts';
import {
  type Environment,
  makeDeas,
  type Process,
  setAlive,
  type TrueDea,
  type TrueInstance,
} from './truth.ts';

interface Job {
  atMs: number;
  decision: StartDecision | StopDecision;
}

const SECOND = 1000;
const HEARTBEAT = 10 * SECOND;

export class Cloud {
  nowMs: number;
  record: Droplet;
  desired: Desired;
  readonly holds: Holds;
  readonly settings: PolicySettings;
  readonly deas: TrueDea[];
  readonly deaLiveness = new Map<string, DeaLiveness>();
  instances: TrueInstance[] = [];
  /** Everything decided, sent and refused, newest last. */
  readonly decisions: Decision[] = [];
  readonly started: StartMessage[] = [];
  readonly stopped: StopMessage[] = [];
  readonly refused: (StartMessage | StopMessage)[] = [];
  readonly harm: string[] = [];
  readonly #jobs = new Map<string, Job>();
  readonly #lost = new Set<string>();
  readonly #down: Environment['down'];
  readonly #cutOff: Environment['cutOff'];
  readonly #environment: Environment | undefined;
  /** When the latest `droplet.updated` was received, and when the latest pass began. */
  #updateMs = 0;
  #passMs = 0;
  /** Ids of the last jobs that were sent or dropped: a queue may deliver them again. */
  #delivered: StartDecision['id'][] = [];
  readonly #enqueued = new Map<string, StartDecision | StopDecision>();
  readonly #sentIds = new Set<string>();
  /** The app as the latest pass listed it. */
  #lastPass: Desired | undefined;
  /** A decision needs a bulk pass at once. */
  isPassNeeded = false;
  /** The controller has the app. */
  isListed = true;
  /** The record was removed, and no event or heartbeat has created a new one. */
  isRecordRemoved = false;
  readonly #random: () => number;
  #dueMs: number | undefined;
  #guids = 0;
  #exits: number;

  constructor(
    record: Droplet,
    deaNames: string[],
    settings: PolicySettings,
    nowMs: number,
    random: () => number,
    environment?: Environment,
  ) {
    this.#down = environment?.down ?? new Set();
    this.#cutOff = environment?.cutOff ?? new Set();
    this.#environment = environment;
    this.#lastPass = record.desired;
    this.record = record;
    this.desired = record.desired as Desired;
    this.settings = settings;
    this.nowMs = nowMs;
    this.#random = random;
    this.#dueMs = nowMs;
    this.#exits = Math.max(record.handledExits, ...record.exits.map(({ n }) => n));
    this.holds = environment?.holds ?? {
      desiredUnavailable: false,
      actualNotFresh: false,
      massLossDeas: new Set(),
      massDelete: false,
      lastPassBegunMs: nowMs,
      lastFullPassBegunMs: nowMs,
    };
    this.deas = environment?.deas ?? makeDeas(deaNames, random);
  }

  /** Indices that lack a RUNNING instance, and guids of all other instances that truly run. */
  get state(): { missing: number[]; surplus: string[] } {
    const { desired } = this;
    const wanted = this.isListed && desired.state === 'STARTED' ? desired.instances : 0;
    const missing: number[] = [];
    const good = new Set<string>();
    for (let index = 0; index < wanted; index++) {
      const here = this.instances.find(
        (i) => i.index === index && i.version === desired.version && i.state === 'RUNNING',
      );
      if (here === undefined) missing.push(index);
      else good.add(here.guid);
    }
    const runs = this.instances.filter(({ state, guid }) => state !== 'CRASHED' && !good.has(guid));
    // The controller refuses to stop another version while none of the live one runs, as with instances: 0.
    const stays = (i: TrueInstance) =>
      this.isListed && desired.state === 'STARTED' && wanted === 0 && i.version !== desired.version;
    return { missing, surplus: runs.filter((i) => !stays(i)).map(({ guid }) => guid) };
  }

  isConverged(): boolean {
    const { missing, surplus } = this.state;
    return missing.length === 0 && surplus.length === 0;
  }

  run(seconds: number): void {
    for (let step = 0; step < seconds; step++) this.step();
  }

  step(): void {
    this.nowMs += SECOND;
    if (this.#environment === undefined) {
      this.holds.heartbeatWatermarkMs = this.nowMs;
      this.holds.massLossEvaluated = { sinceMs: 0, untilMs: this.nowMs };
    }
    for (const instance of this.instances) {
      if (instance.state === 'STARTING' && this.nowMs - instance.sinceMs >= 3 * SECOND)
        instance.state = 'RUNNING';
    }
    const { listeningGaps } = this.holds;
    const expiredBeforeMs = listenedAgoMs(this.nowMs, deaExpiryMs(this.settings), listeningGaps);
    const lostBeforeMs = lostBefore(this.nowMs, listeningGaps, this.settings);
    for (const dea of this.deas) {
      const beats =
        dea.alive &&
        (this.#environment?.heartbeatsRequested || (this.nowMs - dea.offsetMs) % HEARTBEAT === 0);
      if (beats && !this.#down.has('ingest')) this.#heartbeat(dea.name);
      const heartbeatMs = this.deaLiveness.get(dea.name)?.lastHeartbeatMs ?? Number.NEGATIVE_INFINITY;
      if (heartbeatMs < expiredBeforeMs) this.deaLiveness.delete(dea.name);
      if (heartbeatMs >= lostBeforeMs) this.#lost.delete(dea.name);
      else if (!this.#lost.has(dea.name)) {
        this.#lost.add(dea.name);
        this.markDue();
      }
    }
    if (this.#environment === undefined && (this.isPassNeeded || this.nowMs % (60 * SECOND) === 0))
      this.pass();
    if (!this.#down.has('nudger'))
      for (const [id, { atMs }] of [...this.#jobs]) if (atMs <= this.nowMs) this.#deliver(id);
    if (this.#down.has('analyzer')) return;
    for (let times = 0; this.#dueMs !== undefined && this.#dueMs <= this.nowMs; times++) {
      if (times > 20)
        throw new Error(`the droplet stays due at ${this.nowMs}: reconciled 20 times in one step`);
      this.#reconcile();
    }
  }

  /** The controller changes the app and sends a `droplet.updated`; the pass that it requests comes a second later. */
  update(change: Partial<Desired>): void {
    this.change(change);
    this.receiveUpdate();
    this.step();
    this.pass();
  }

  /** The controller changes the app. */
  change(change: Partial<Desired>): void {
    this.desired = { ...this.desired, ...change };
  }

  /** A `droplet.updated`. */
  receiveUpdate(): void {
    if (this.#down.has('ingest')) return;
    this.#ensureRecord();
    this.#updateMs = this.nowMs;
    this.record = { ...this.record, rev: this.record.rev + 1, updatedMs: this.nowMs };
    this.markDue();
  }

  /**
   * The controller gives the app a new version and announces nothing, as when a route is mapped. The reachable DEAs rename its
   * instances in place: a new version and a new guid, no exit, and the next heartbeat lists them.
   */
  mapRoute(version: string): void {
    const before = this.desired.version;
    if (version === before) return;
    this.change({ version });
    const isReachable = (name: string) => this.deas.some((dea) => dea.name === name && dea.alive);
    for (const instance of this.instances) {
      if (instance.version !== before || !isReachable(instance.dea)) continue;
      if (instance.state !== 'RUNNING' && instance.state !== 'STARTING') continue;
      Object.assign(instance, { guid: `renamed-${this.#guids++}`, version, isRenamed: true });
    }
  }

  /** A DEA sends a heartbeat that lists only one of its instances; the next one lists all again. */
  sendSingle(name: string): void {
    const isReachable = this.deas.some((dea) => dea.name === name && dea.alive);
    if (isReachable && !this.#down.has('ingest')) this.#heartbeat(name, 1);
  }

  /** A complete bulk pass. */
  pass(): void {
    this.isPassNeeded = false;
    this.#passMs = this.nowMs;
    const before = this.holds.lastPassBegunMs;
    this.holds.lastPassBegunMs = this.nowMs;
    // The simulated passes write every entry.
    this.holds.lastFullPassBegunMs = this.nowMs;
    this.#lastPass = this.isListed ? this.desired : undefined;
    const record = { ...this.record, rev: this.record.rev + 1 };
    if (this.isListed) {
      const { desired, goneMs, updatedMs, listedMs } = record;
      const endsHold = updatedMs !== undefined && !(listedMs !== undefined && listedMs > updatedMs);
      // A pass writes nothing for an unchanged entry.
      if (desired === this.desired && goneMs === undefined && !endsHold && !this.isRecordRemoved) return;
      this.#ensureRecord();
      this.record = { ...this.record, rev: record.rev, desired: this.desired, listedMs: this.nowMs };
      if (desired !== undefined && desired.version !== this.desired.version)
        this.record.versionSinceMs = this.nowMs;
      delete this.record.goneMs;
      this.markDue();
    } else if (!this.isRecordRemoved && record.desired !== undefined && record.goneMs === undefined) {
      this.record = { ...record, goneMs: before ?? this.nowMs };
      this.markDue();
    }
  }

  /** A process was killed and restarts: its unfinished messages are delivered again, and the record is reloaded. */
  restart(process: Process): void {
    if (process === 'cron') return;
    if (process === 'ingest') {
      for (const { n: _, ...exit } of this.record.exits) this.#receiveExit({ ...exit, atMs: this.nowMs });
    }
    if (process === 'analyzer') {
      for (const id of [...this.#jobs.keys()]) if (this.#random() < 0.3) this.#jobs.delete(id);
      this.markDue();
    }
    if (process === 'nudger') {
      for (const id of this.#delivered) {
        const decision = this.#enqueued.get(id);
        if (decision !== undefined) this.#jobs.set(id, { atMs: this.nowMs, decision });
      }
    }
    this.record = reload(this.record);
  }

  /** An instance ends without an exit message. */
  vanish(guid: string): void {
    this.instances = this.instances.filter((i) => i.guid !== guid);
  }

  /** Creates the record if it was removed, as every event and heartbeat does. */
  #ensureRecord(): void {
    if (!this.isRecordRemoved) return;
    this.isRecordRemoved = false;
    this.record = { ...this.record, firstSeenMs: this.nowMs };
  }

  kill(guid: string, reason: ExitReason): void {
    const instance = this.instances.find((i) => i.guid === guid);
    if (instance === undefined) return;
    if (reason === 'DEA_EVACUATION') instance.state = 'EVACUATING';
    else this.instances = this.instances.filter((i) => i !== instance);
    if (reason === 'CRASHED') {
      this.instances.push({
        ...instance,
        guid: `crash-${this.#guids++}`,
        state: 'CRASHED',
        sinceMs: this.nowMs,
      });
    }
    this.#receiveExit({
      instance: guid,
      index: instance.index,
      version: instance.version,
      reason,
      atMs: this.nowMs,
      ...(reason === 'CRASHED' ? { crashTimestampS: this.nowMs / 1000 } : {}),
    });
  }

  #receiveExit(exit: Omit<Exit, 'n'>): void {
    if (this.#down.has('ingest')) return;
    const exits = afterExit(this.record, { ...exit, n: this.#exits + 1 }, this.settings);
    if (exits === undefined) return;
    this.#exits++;
    this.#ensureRecord();
    this.record = { ...this.record, rev: this.record.rev + 1, exits };
    this.markDue();
  }

  /** A DEA dies with all its instances. It comes back empty. */
  killDea(name: string): void {
    for (const dea of this.deas) if (dea.name === name) dea.alive = false;
    this.instances = this.instances.filter((i) => i.dea !== name);
  }

  /** A DEA loses its network or has it back. It goes on running. */
  setReachable(name: string, alive: boolean): void {
    for (const dea of this.deas) if (dea.name === name) setAlive(dea, alive, this.nowMs);
  }

  place(over: Partial<TrueInstance>): void {
    const dea = this.deas[Math.floor(this.#random() * this.deas.length)]?.name ?? 'dea-1';
    const made: TrueInstance = {
      guid: `guid-${this.#guids++}`,
      index: 0,
      version: this.desired.version,
      state: 'STARTING',
      dea,
      sinceMs: this.nowMs,
      ...over,
    };
    this.instances.push(made);
  }

  /** Applies a heartbeat of one DEA to the record: only a difference is written. */
  #heartbeat(name: string, atMost = Number.POSITIVE_INFINITY): void {
    const before = this.deaLiveness.get(name)?.lastHeartbeatMs;
    const wasLost = this.#lost.has(name);
    this.deaLiveness.set(name, {
      lastHeartbeatMs: this.nowMs,
      ...(before === undefined ? {} : { previousHeartbeatMs: before }),
    });
    const listed = this.instances.filter((i) => i.dea === name).slice(0, atMost);
    if (this.isRecordRemoved && listed.every(({ state }) => state === 'CRASHED')) return;
    const { instances, differs } = afterHeartbeat(this.record, name, listed, before, this.nowMs);
    const changed = differs || wasLost;
    if (!changed) return;
    this.#ensureRecord();
    this.record = { ...this.record, rev: this.record.rev + 1, instances };
    this.markDue();
  }

  /** The droplet is reconciled in this step. */
  markDue(): void {
    this.#dueMs = this.nowMs;
  }

  #reconcile(): void {
    if (this.isRecordRemoved) {
      this.#dueMs = undefined;
      return;
    }
    const decided = decide(this.record, this.deaLiveness, this.holds, this.nowMs, this.settings);
    this.record = applyDecision(this.record, decided);
    this.#dueMs = decided.requeueAtMs;
    if (decided.passNeededSinceMs !== undefined) this.isPassNeeded = true;
    if (decided.remove) {
      this.#removeRecord();
      return;
    }
    const again = decide(this.record, this.deaLiveness, this.holds, this.nowMs, this.settings);
    for (const { kind, id } of again.decisions) this.harm.push(`not settled: ${kind} ${id} at ${this.nowMs}`);
    let areEnqueued = true;
    for (const decision of decided.decisions) {
      this.decisions.push(decision);
      if (decision.kind === 'start') areEnqueued = this.#enqueue(decision) && areEnqueued;
      if (decision.kind === 'stop') this.#enqueue(decision);
      if (decision.kind === 'cancel') this.#jobs.delete(decision.id);
    }
    for (const decision of decided.verifyJobs)
      if (!this.#jobs.has(decision.id)) areEnqueued = this.#enqueue(decision) && areEnqueued;
    if (areEnqueued) this.#dueMs = decided.requeueOnceEnqueuedMs ?? decided.requeueAtMs;
  }

  #removeRecord(): void {
    const running = this.instances.find(
      ({ guid, state }) => state !== 'CRASHED' && isKnownRunning(this.#state, guid),
    );
    if (running !== undefined) this.harm.push(`removed while ${running.guid} runs at ${this.nowMs}`);
    if (this.#lastPass !== undefined) this.harm.push(`removed while desired at ${this.nowMs}`);
    const { id, rev } = this.record;
    const none = { instances: [], exits: [], slots: new Map(), stops: new Map(), outcomes: new Map() };
    this.record = { id, rev: rev + 1, firstSeenMs: this.nowMs, handledExits: 0, ...none };
    this.#exits = 0;
    this.isRecordRemoved = true;
    this.#dueMs = undefined;
  }

  /** Returns whether the analyzer knows that the job was added: it may die before it has the answer. */
  #enqueue(decision: StartDecision | StopDecision): boolean {
    this.#enqueued.set(decision.id, decision);
    // A job may be lost with the process that adds it or, more rarely, with the Redis that stores it.
    const luck = this.#random();
    if (luck < 0.1) return luck < 0.02;
    const delayMs = decision.kind === 'stop' ? 0 : Math.floor(this.#random() * 5) * SECOND;
    const atMs =
      decision.kind === 'start' && decision.dueMs !== undefined ? decision.dueMs : this.nowMs + delayMs;
    this.#jobs.set(decision.id, { atMs, decision });
    return true;
  }

  #deliver(id: string): void {
    const decision = this.#jobs.get(id)?.decision;
    if (decision === undefined) return;
    const { record, deaLiveness, holds, nowMs, settings } = this;
    const recheck = new Recheck(record, deaLiveness, holds, nowMs, settings);
    const checked = decision.kind === 'start' ? recheck.checkStart(decision) : recheck.checkStop(decision);
    if ('wait' in checked) {
      this.#jobs.set(id, { atMs: checked.wait, decision });
      return;
    }
    this.#jobs.delete(id);
    this.#delivered = [...this.#delivered.slice(-4), id];
    if ('drop' in checked && (checked.drop === 'superseded' || checked.drop === 'done')) return;
    const outcome =
      'send' in checked
        ? { id, outcome: 'sent' as const, atMs: nowMs }
        : { id, outcome: 'dropped' as const, atMs: nowMs, why: checked.drop };
    this.record = { ...record, rev: record.rev + 1, outcomes: new Map([...record.outcomes, [id, outcome]]) };
    this.markDue();
    if (!('send' in checked)) return;
    if (this.#sentIds.has(id)) this.harm.push(`${id} sent twice at ${this.nowMs}`);
    this.#sentIds.add(id);
    this.#checkHolds(id, checked.reason);
    if ('instances' in checked.send) this.#stop(checked.send);
    else this.#start(checked.send);
  }

  #start(message: StartMessage): void {
    this.started.push(message);
    if (!isStartAccepted(this, message)) {
      if (this.#isUpToDate()) this.refused.push(message);
      return;
    }
    const state = this.#state;
    if (this.#environment !== undefined) this.harm.push(...harmOfSilence(state, message.index));
    this.harm.push(...harmOfStart(state, message.index), ...harmOfRename(state, message.index));
    // A start may fail: no DEA has room, or the message is lost.
    if (this.#random() < 0.9) this.place({ index: message.index });
  }

  /** A start or stop is harm if it was sent while the desired state was not known well enough. */
  #checkHolds(id: string, reason: string): void {
    if (this.#updateMs > 0 && this.#passMs <= this.#updateMs)
      this.harm.push(`${id} sent before the pass after an update at ${this.nowMs}`);
    const isOutdated = this.nowMs - this.#passMs > this.settings.desiredStateLostMs;
    if (
      this.#environment !== undefined &&
      isOutdated &&
      !['crashed', 'evacuated', 'flapping', 'duplicate'].includes(reason)
    )
      this.harm.push(`${id} (${reason}) sent on a desired state of ${this.#passMs} at ${this.nowMs}`);
  }

  /** The DEA of the instance is cut off: no message reaches it, and none comes from it. */
  #isCutOff(guid: string): boolean {
    return this.instances.some((i) => i.guid === guid && this.#cutOff.has(i.dea));
  }

  /**
   * Nothing has changed at the controller since the latest pass, so every refusal and harm now was avoidable. (Not for
   * a deleted app under `mass_delete`: a crash and an evacuation are acted on as if it was not deleted.)
   */
  #isUpToDate(): boolean {
    if (!this.isListed && this.holds.massDelete) return false;
    return this.#lastPass === (this.isListed ? this.desired : undefined);
  }

  #stop(message: StopMessage): void {
    this.stopped.push(message);
    for (const [guid, version] of message.instances) {
      if (!isStopAccepted(this, message, version)) {
        if (this.#isUpToDate()) this.refused.push(message);
        continue;
      }
      const isRenamed = this.instances.some((i) => i.guid === guid && i.isRenamed);
      if (this.isListed && (isRenamed || this.#isUpToDate()))
        this.harm.push(...harmOfStop(this.#state, guid));
      const known = this.record.instances.find((i) => i.guid === guid);
      if (known?.lastListedMs !== undefined) this.harm.push(`stop of ${guid}, which its DEA no longer lists`);
      if (this.#random() < 0.9 && !this.#isCutOff(guid)) this.kill(guid, 'STOPPED');
    }
  }

  get #state(): CloudState {
    const { nowMs, record, deaLiveness, instances, desired, settings, deas } = this;
    return { nowMs, record, deaLiveness, instances, desired, settings, deas, cutOff: this.#cutOff };
  }
}
