/**
 * For tests: a small pure cloud environment `decide`. DEAs that run and list instances, a controller that checks what it is
 * asked and places starts, queues that lose time, and a record that is kept as heartbeats and exits would keep it.
 * A step is a second. A droplet is looked at only when something happened to it or when the last look asked for it.
 *
 * A fleet of such clouds, whose processes come and go: `testing-fleet.ts`.
 */
import type { StartMessage, StopMessage } from '../../../common/messages/outgoing.ts';
import type { DeaLiveness, Desired, Droplet, Exit, Holds } from '../../../common/model/droplet.ts';
import type { ExitReason } from '../../../common/model/reasons.ts';
import { checkStart, checkStop } from '../../../common/policy/recheck.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { deaExpiryMs } from '../../../common/policy/thresholds.ts';
import { type Decision, decide } from '../decide.ts';
import type { StartDecision, StopDecision } from '../decision.ts';
import { isStartAccepted, isStopAccepted } from './controller.ts';
import { applyDecision, reload } from './fixtures.ts';
import { afterExit, afterHeartbeat } from './record.ts';
import { makeDeas, type Process, type Environment, type TrueDea, type TrueInstance, setAlive } from './truth.ts';
import { harmOfSilence, harmOfStart, harmOfStop, isKnownRunning, type CloudState } from './safety.ts';

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
  readonly heard = new Map<string, DeaLiveness>();
  instances: TrueInstance[] = [];
  /** Everything decided, sent and refused, newest last. */
  readonly decisions: Decision[] = [];
  readonly started: StartMessage[] = [];
  readonly stopped: StopMessage[] = [];
  readonly refused: (StartMessage | StopMessage)[] = [];
  readonly harm: string[] = [];
  readonly #jobs = new Map<string, Job>();
  readonly #lost = new Set<string>();
  readonly #away: Environment['away'];
  readonly #cut: Environment['cut'];
  readonly #environment: Environment | undefined;
  /** When the latest `droplet.updated` was heard, and when the latest pass began. */
  #updateMs = 0;
  #passMs = 0;
  /** Sent or dropped: a queue may bring them once more. */
  #delivered: StartDecision['id'][] = [];
  readonly #enqueued = new Map<string, StartDecision | StopDecision>();
  readonly #sentIds = new Set<string>();
  /** What the latest pass said. */
  #lastPass: Desired | undefined;
  /** The controller has the app. */
  isListed = true;
  /** There is no record. */
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
    this.#away = environment?.away ?? new Set();
    this.#cut = environment?.cut ?? new Set();
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
    };
    this.deas = environment?.deas ?? makeDeas(deaNames, random);
  }

  /** The live instances of wanted slots, and everything else that truly runs. */
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
    for (const dea of this.deas) {
      const beats = dea.alive && (this.#environment?.heartbeatsRequested || (this.nowMs - dea.offsetMs) % HEARTBEAT === 0);
      if (beats && !this.#away.has('ingest')) this.#heartbeat(dea.name);
      const heard = this.heard.get(dea.name)?.lastHeartbeatMs ?? Number.NEGATIVE_INFINITY;
      if (this.nowMs - heard > deaExpiryMs(this.settings)) this.heard.delete(dea.name);
      if (this.nowMs - heard <= this.settings.dropletLostMs) this.#lost.delete(dea.name);
      else if (!this.#lost.has(dea.name)) {
        this.#lost.add(dea.name);
        this.markDue();
      }
    }
    if (this.#environment === undefined && this.nowMs % (60 * SECOND) === 0) this.pass();
    if (!this.#away.has('nudger'))
      for (const [id, { atMs }] of [...this.#jobs]) if (atMs <= this.nowMs) this.#deliver(id);
    if (this.#away.has('analyzer')) return;
    for (let looks = 0; this.#dueMs !== undefined && this.#dueMs <= this.nowMs; looks++) {
      if (looks > 20) throw new Error(`looks without end at ${this.nowMs}`);
      this.#reconcile();
    }
  }

  /** The controller changes the app and says so; the pass that it asks for comes a second later. */
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
    if (this.#away.has('ingest')) return;
    this.#ensureRecord();
    this.#updateMs = this.nowMs;
    this.record = { ...this.record, rev: this.record.rev + 1, updatedMs: this.nowMs };
    this.markDue();
  }

  /** A complete bulk pass. */
  pass(): void {
    this.#passMs = this.nowMs;
    const before = this.holds.lastPassBegunMs;
    this.holds.lastPassBegunMs = this.nowMs;
    this.#lastPass = this.isListed ? this.desired : undefined;
    const record = { ...this.record, rev: this.record.rev + 1 };
    if (this.isListed) {
      const { desired, goneMs, updatedMs, listedMs } = record;
      const lifts = updatedMs !== undefined && !(listedMs !== undefined && listedMs > updatedMs);
      // An entry as the last one writes nothing.
      if (desired === this.desired && goneMs === undefined && !lifts && !this.isRecordRemoved) return;
      this.#ensureRecord();
      this.record = { ...this.record, rev: record.rev, desired: this.desired, listedMs: this.nowMs };
      delete this.record.goneMs;
      this.markDue();
    } else if (!this.isRecordRemoved && record.desired !== undefined && record.goneMs === undefined) {
      this.record = { ...record, goneMs: before ?? this.nowMs };
      this.markDue();
    }
  }

  /** A process is killed and comes back: what it had in hand comes once more, and all is read anew. */
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

  /** An instance vanishes from its DEA without a word. */
  vanish(guid: string): void {
    this.instances = this.instances.filter((i) => i.guid !== guid);
  }

  /** There is a record from now, as for everything that is heard. */
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
    if (this.#away.has('ingest')) return;
    const exits = afterExit(this.record, { ...exit, n: this.#exits + 1 }, this.settings);
    if (exits === undefined) return;
    this.#exits++;
    this.#ensureRecord();
    this.record = { ...this.record, rev: this.record.rev + 1, exits };
    this.markDue();
  }

  /** A DEA dies with all that it runs, and comes back empty. */
  killDea(name: string): void {
    for (const dea of this.deas) if (dea.name === name) dea.alive = false;
    this.instances = this.instances.filter((i) => i.dea !== name);
  }

  /** A DEA is cut off: it goes on running, unheard. */
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

  /** What a heartbeat of one DEA makes of the record: only a difference is written. */
  #heartbeat(name: string): void {
    const before = this.heard.get(name)?.lastHeartbeatMs;
    const wasLost = this.#lost.has(name);
    this.heard.set(name, {
      lastHeartbeatMs: this.nowMs,
      ...(before === undefined ? {} : { previousHeartbeatMs: before }),
    });
    const listed = this.instances.filter((i) => i.dea === name);
    if (this.isRecordRemoved && listed.every(({ state }) => state === 'CRASHED')) return;
    const { instances, differs } = afterHeartbeat(this.record, name, listed, before, this.nowMs);
    const changed = differs || wasLost;
    if (!changed) return;
    this.#ensureRecord();
    this.record = { ...this.record, rev: this.record.rev + 1, instances };
    this.markDue();
  }

  /** It is looked at in this step. */
  markDue(): void {
    this.#dueMs = this.nowMs;
  }

  #reconcile(): void {
    if (this.isRecordRemoved) {
      this.#dueMs = undefined;
      return;
    }
    const decided = decide(this.record, this.heard, this.holds, this.nowMs, this.settings);
    this.record = applyDecision(this.record, decided);
    this.#dueMs = decided.requeueAtMs;
    if (decided.remove) {
      this.#removeRecord();
      return;
    }
    const again = decide(this.record, this.heard, this.holds, this.nowMs, this.settings);
    for (const { kind, id } of again.decisions) this.harm.push(`not settled: ${kind} ${id} at ${this.nowMs}`);
    let isSure = true;
    for (const decision of decided.decisions) {
      this.decisions.push(decision);
      if (decision.kind === 'start') isSure = this.#enqueue(decision) && isSure;
      if (decision.kind === 'stop') this.#enqueue(decision);
      if (decision.kind === 'cancel') this.#jobs.delete(decision.id);
    }
    for (const decision of decided.verifyJobs)
      if (!this.#jobs.has(decision.id)) isSure = this.#enqueue(decision) && isSure;
    if (isSure) this.#dueMs = decided.requeueOnceEnqueuedMs ?? decided.requeueAtMs;
  }

  #removeRecord(): void {
    const running = this.instances.find(
      ({ guid, state }) => state !== 'CRASHED' && isKnownRunning(this.#state, guid),
    );
    if (running !== undefined) this.harm.push(`forgotten while ${running.guid} runs at ${this.nowMs}`);
    if (this.#lastPass !== undefined) this.harm.push(`forgotten while desired at ${this.nowMs}`);
    const { id, rev } = this.record;
    const none = { instances: [], exits: [], slots: new Map(), stops: new Map(), outcomes: new Map() };
    this.record = { id, rev: rev + 1, firstSeenMs: this.nowMs, handledExits: 0, ...none };
    this.#exits = 0;
    this.isRecordRemoved = true;
    this.#dueMs = undefined;
  }

  /** @returns whether whoever adds the job lives to know that it is there */
  #enqueue(decision: StartDecision | StopDecision): boolean {
    this.#enqueued.set(decision.id, decision);
    // A job may be lost with the process that was to add it, or, more rarely, with the Redis that had it.
    const luck = this.#random();
    if (luck < 0.1) return luck < 0.02;
    const waits = decision.kind === 'stop' ? 0 : Math.floor(this.#random() * 5) * SECOND;
    const atMs = decision.kind === 'start' && decision.dueMs !== undefined ? decision.dueMs : this.nowMs + waits;
    this.#jobs.set(decision.id, { atMs, decision });
    return true;
  }

  #deliver(id: string): void {
    const decision = this.#jobs.get(id)?.decision;
    if (decision === undefined) return;
    const { record, heard, holds, nowMs, settings } = this;
    const checked =
      decision.kind === 'start'
        ? checkStart(record, decision, heard, holds, nowMs, settings)
        : checkStop(record, decision, heard, holds, nowMs, settings);
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
    this.harm.push(...harmOfStart(state, message.index));
    // A start may fail: no room, a lost message.
    if (this.#random() < 0.9) this.place({ index: message.index });
  }

  /** What nobody would send who heeds what he does not know. */
  #checkHolds(id: string, reason: string): void {
    if (this.#updateMs > 0 && this.#passMs <= this.#updateMs)
      this.harm.push(`${id} sent before the pass after an update at ${this.nowMs}`);
    const old = this.nowMs - this.#passMs > this.settings.desiredStateLostMs;
    if (
      this.#environment !== undefined &&
      old &&
      !['crashed', 'evacuated', 'flapping', 'duplicate'].includes(reason)
    )
      this.harm.push(`${id} (${reason}) sent on a desired state of ${this.#passMs} at ${this.nowMs}`);
  }

  /** Nothing reaches it, and nothing of it is heard. */
  #isCutOff(guid: string): boolean {
    return this.instances.some((i) => i.guid === guid && this.#cut.has(i.dea));
  }

  /**
   * Nothing has changed at the controller since the latest pass, and that is believed: what is refused or harmed now
   * was avoidable. (While `mass_delete` doubts it, a crash and an evacuation are acted on as if nothing was deleted.)
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
      if (this.isListed && this.#isUpToDate()) this.harm.push(...harmOfStop(this.#state, guid));
      if (this.#random() < 0.9 && !this.#isCutOff(guid)) this.kill(guid, 'STOPPED');
    }
  }

  get #state(): CloudState {
    const { nowMs, record, heard, instances, desired, settings, deas } = this;
    return { nowMs, record, heard, instances, desired, settings, deas, cut: this.#cut };
  }
}
