/**
 * For tests: a small pure cloud around `decide`. DEAs that run and list instances, a controller that checks what it is
 * asked and places starts, queues that lose time, and a record that is kept as heartbeats and exits would keep it.
 * A step is a second. A droplet is looked at only when something happened to it or when the last look asked for it.
 */
import type { DeaLiveness, Desired, Droplet, Exit, ExitReason, Holds } from '../../common/droplet.ts';
import { checkStart, checkStop, type StartMessage, type StopMessage } from '../../common/policy/check.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { type Decision, decide } from './decide.ts';
import type { StartDecision, StopDecision } from './decision.ts';
import { applied } from './testing.ts';

/** An instance as it truly is. */
export interface TrueInstance {
  guid: string;
  index: number;
  version: string;
  state: 'STARTING' | 'RUNNING' | 'EVACUATING' | 'CRASHED';
  dea: string;
  sinceMs: number;
}

interface TrueDea {
  name: string;
  alive: boolean;
  /** Heartbeats are due at this offset of every ten seconds. */
  offsetMs: number;
}

interface Job {
  atMs: number;
  order: StartDecision | StopDecision;
}

const SECOND = 1000;
const HEARTBEAT = 10 * SECOND;

export class Cloud {
  now: number;
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
  readonly #random: () => number;
  #dueMs: number | undefined;
  #guids = 0;
  #exits: number;

  constructor(
    record: Droplet,
    deaNames: string[],
    settings: PolicySettings,
    now: number,
    random: () => number,
  ) {
    this.record = record;
    this.desired = record.desired as Desired;
    this.settings = settings;
    this.now = now;
    this.#random = random;
    this.#dueMs = now;
    this.#exits = Math.max(record.handledExits, ...record.exits.map(({ n }) => n));
    this.holds = {
      desiredUnavailable: false,
      actualNotFresh: false,
      massLossDeas: new Set(),
      massDelete: false,
      lastPassBegunMs: now,
    };
    this.deas = deaNames.map((name) => ({
      name,
      alive: true,
      offsetMs: Math.floor(random() * 10) * SECOND,
    }));
  }

  /** The live instances of wanted slots, and everything else that truly runs. */
  get state(): { missing: number[]; surplus: string[] } {
    const { desired } = this;
    const wanted = desired.state === 'STARTED' ? desired.instances : 0;
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
      desired.state === 'STARTED' && wanted === 0 && i.version !== desired.version;
    return { missing, surplus: runs.filter((i) => !stays(i)).map(({ guid }) => guid) };
  }

  isConverged(): boolean {
    const { missing, surplus } = this.state;
    return missing.length === 0 && surplus.length === 0;
  }

  run(seconds: number): void {
    for (let step = 0; step < seconds; step++) this.step();
  }

  /** Runs until everything is as desired; returns how many seconds that took, or undefined if it took too long. */
  runUntilConverged(atMostSeconds: number): number | undefined {
    for (let step = 0; step <= atMostSeconds; step++) {
      if (this.isConverged()) return step;
      this.step();
    }
    return undefined;
  }

  step(): void {
    this.now += SECOND;
    for (const instance of this.instances) {
      if (instance.state === 'STARTING' && this.now - instance.sinceMs >= 3 * SECOND)
        instance.state = 'RUNNING';
    }
    for (const dea of this.deas) {
      if (dea.alive && (this.now - dea.offsetMs) % HEARTBEAT === 0) this.#heartbeat(dea.name);
      const heard = this.heard.get(dea.name)?.heardMs ?? Number.NEGATIVE_INFINITY;
      if (this.now - heard <= this.settings.dropletLostMs) this.#lost.delete(dea.name);
      else if (!this.#lost.has(dea.name)) {
        this.#lost.add(dea.name);
        this.#touch();
      }
    }
    if (this.now % (60 * SECOND) === 0) this.#pass();
    for (const [id, { atMs }] of [...this.#jobs]) if (atMs <= this.now) this.#deliver(id);
    for (let looks = 0; this.#dueMs !== undefined && this.#dueMs <= this.now; looks++) {
      if (looks > 20) throw new Error(`looks without end at ${this.now}`);
      this.#look();
    }
  }

  /** The controller changes the app and says so; the pass that it asks for comes a second later. */
  update(change: Partial<Desired>): void {
    this.desired = { ...this.desired, ...change };
    this.record = { ...this.record, rev: this.record.rev + 1, updatedMs: this.now };
    this.#touch();
    this.step();
    this.#pass();
  }

  /** A complete bulk pass. */
  #pass(): void {
    this.holds.lastPassBegunMs = this.now;
    this.record = { ...this.record, rev: this.record.rev + 1, desired: this.desired, listedMs: this.now };
    this.#touch();
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
        sinceMs: this.now,
      });
    }
    const exit: Exit = {
      instance: guid,
      index: instance.index,
      version: instance.version,
      reason,
      atMs: this.now,
      n: ++this.#exits,
      ...(reason === 'CRASHED' ? { crashTimestampS: this.now / 1000 } : {}),
    };
    const others = this.record.exits.filter((e) => e.instance !== guid);
    this.record = { ...this.record, rev: this.record.rev + 1, exits: [...others, exit] };
    this.#touch();
  }

  /** A DEA dies with all that it runs, and comes back empty. */
  killDea(name: string): void {
    for (const dea of this.deas) if (dea.name === name) dea.alive = false;
    this.instances = this.instances.filter((i) => i.dea !== name);
  }

  /** A DEA is cut off: it goes on running, unheard. */
  setHeard(name: string, alive: boolean): void {
    for (const dea of this.deas) if (dea.name === name) dea.alive = alive;
  }

  place(over: Partial<TrueInstance>): void {
    const dea = this.deas[Math.floor(this.#random() * this.deas.length)]?.name ?? 'dea-1';
    const made: TrueInstance = {
      guid: `guid-${this.#guids++}`,
      index: 0,
      version: this.desired.version,
      state: 'STARTING',
      dea,
      sinceMs: this.now,
      ...over,
    };
    this.instances.push(made);
  }

  /** What a heartbeat of one DEA makes of the record: only a difference is written. */
  #heartbeat(name: string): void {
    const before = this.heard.get(name)?.heardMs;
    const wasLost = this.#lost.has(name);
    this.heard.set(name, { heardMs: this.now, ...(before === undefined ? {} : { previousMs: before }) });
    let changed = wasLost;
    const listed = this.instances.filter((i) => i.dea === name);
    const instances = this.record.instances.map((known) => {
      if (known.dea !== name || known.lastListedMs !== undefined) return known;
      if (listed.some(({ guid }) => guid === known.guid)) return known;
      changed = true;
      return { ...known, lastListedMs: before ?? this.now };
    });
    for (const { guid, index, version, state, dea, sinceMs } of listed) {
      const at = instances.findIndex((known) => known.guid === guid);
      const known = instances[at];
      if (known !== undefined && known.state === state && known.lastListedMs === undefined) continue;
      changed = true;
      const firstHeardMs = known?.firstHeardMs ?? this.now;
      const entry = { guid, index, version, state, dea, stateTimestampS: sinceMs / 1000, firstHeardMs };
      if (at < 0) instances.push(entry);
      else instances[at] = entry;
    }
    if (!changed) return;
    this.record = { ...this.record, rev: this.record.rev + 1, instances };
    this.#touch();
  }

  #touch(): void {
    this.#dueMs = this.now;
  }

  #look(): void {
    const decided = decide(this.record, this.heard, this.holds, this.now, this.settings);
    this.record = applied(this.record, decided);
    this.#dueMs = decided.lookAgainMs;
    const again = decide(this.record, this.heard, this.holds, this.now, this.settings);
    for (const { kind, id } of again.decisions) this.harm.push(`not settled: ${kind} ${id} at ${this.now}`);
    for (const decision of decided.decisions) {
      this.decisions.push(decision);
      if (decision.kind === 'start') this.#enqueue(decision);
      if (decision.kind === 'stop') this.#enqueue(decision);
      if (decision.kind === 'cancel') this.#jobs.delete(decision.id);
    }
    for (const order of decided.ensure) if (!this.#jobs.has(order.id)) this.#enqueue(order);
  }

  #enqueue(order: StartDecision | StopDecision): void {
    // A job may be lost with the process that was to add it.
    if (this.#random() < 0.1) return;
    const waits = order.kind === 'stop' ? 0 : Math.floor(this.#random() * 5) * SECOND;
    const atMs = order.kind === 'start' && order.dueMs !== undefined ? order.dueMs : this.now + waits;
    this.#jobs.set(order.id, { atMs, order });
  }

  #deliver(id: string): void {
    const order = this.#jobs.get(id)?.order;
    if (order === undefined) return;
    const { record, heard, holds, now, settings } = this;
    const checked =
      order.kind === 'start'
        ? checkStart(record, order, heard, holds, now, settings)
        : checkStop(record, order, heard, holds, now, settings);
    if ('wait' in checked) {
      this.#jobs.set(id, { atMs: checked.wait, order });
      return;
    }
    this.#jobs.delete(id);
    if ('drop' in checked && (checked.drop === 'superseded' || checked.drop === 'done')) return;
    const outcome =
      'send' in checked
        ? { id, outcome: 'sent' as const, atMs: now }
        : { id, outcome: 'dropped' as const, atMs: now, why: checked.drop };
    this.record = { ...record, rev: record.rev + 1, outcomes: new Map([...record.outcomes, [id, outcome]]) };
    this.#touch();
    if (!('send' in checked)) return;
    if ('instances' in checked.send) this.#stop(checked.send);
    else this.#start(checked.send);
  }

  /** The controller's check of a start, from what the message says. */
  #start(message: StartMessage): void {
    this.started.push(message);
    const { desired } = this;
    const running = new Map(message.running).get(message.version) ?? 0;
    const accepted =
      desired.state === 'STARTED' &&
      message.version === desired.version &&
      message.index < desired.instances &&
      running < desired.instances;
    if (!accepted) {
      this.refused.push(message);
      return;
    }
    if (this.#isHeardLive(message.index)) this.harm.push(`start of live ${message.index} at ${this.now}`);
    // A start may fail: no room, a lost message.
    if (this.#random() < 0.9) this.place({ index: message.index });
  }

  #isHeardLive(index: number): boolean {
    return this.instances.some((i) => {
      const known = this.record.instances.find(({ guid }) => guid === i.guid);
      if (known === undefined || known.lastListedMs !== undefined) return false;
      if (i.index !== index || i.version !== this.desired.version || known.state !== 'RUNNING') return false;
      const exited = this.record.exits.some((exit) => exit.instance === i.guid);
      const heard = this.heard.get(i.dea)?.heardMs ?? 0;
      return i.state === 'RUNNING' && !exited && this.now - heard <= this.settings.dropletLostMs;
    });
  }

  #stop(message: StopMessage): void {
    this.stopped.push(message);
    const { desired } = this;
    const running = new Map(message.running);
    for (const [guid, version] of message.instances) {
      const stays = (running.get(version) ?? 0) - (version === desired.version ? 1 : 0);
      const isRefused =
        desired.state === 'STARTED' &&
        (version === desired.version ? stays < desired.instances : (running.get(desired.version) ?? 0) === 0);
      if (isRefused) {
        this.refused.push(message);
        continue;
      }
      this.#watchStop(guid);
      if (this.#random() < 0.9) this.kill(guid, 'STOPPED');
    }
  }

  /** Rule 1: a wanted RUNNING instance is stopped only if another copy of it runs on, as far as was heard. */
  #watchStop(guid: string): void {
    const { desired } = this;
    const victim = this.instances.find((i) => i.guid === guid);
    if (victim === undefined || victim.state !== 'RUNNING' || victim.version !== desired.version) return;
    if (desired.state !== 'STARTED' || victim.index >= desired.instances) return;
    const other = this.record.instances.some(
      (i) =>
        i.guid !== guid &&
        i.index === victim.index &&
        i.version === victim.version &&
        i.state === 'RUNNING' &&
        i.lastListedMs === undefined &&
        this.now - (this.heard.get(i.dea)?.heardMs ?? 0) <= this.settings.dropletLostMs,
    );
    if (!other) this.harm.push(`stop of healthy ${guid} at ${this.now}`);
  }
}

/** A small seeded generator (mulberry32): tests repeat. */
export function seeded(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
