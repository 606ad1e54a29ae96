import type { NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { ExitReason } from '../../../common/model/reasons.ts';
import { heartbeatText } from '../../demo/agent/dea-messages.ts';
import { type DeaOptions, PARTITION, SimulatedDea, type SimulatedInstance } from '../sim/dea.ts';
import type { Random } from './random.ts';

/** An instance as it truly is, and what was reported of it. Times in ms on this process's monotonic clock. */
export interface TrueInstance extends SimulatedInstance {
  readonly dea: ChaosDea;
  /** Since when every heartbeat that was due has listed it as STARTING or RUNNING; a long disconnection restarts this. */
  steadySinceMs?: number;
  /** The latest heartbeat that listed it as STARTING or RUNNING. */
  lastListedMs?: number;
  /** The latest heartbeat that listed it as RUNNING. */
  lastRunningMs?: number;
  /** When its DEA renamed it in place: a new version and guid, without a message. */
  renamedMs?: number;
  endedMs?: number;
  exitSentMs?: number;
  /** When the controller last accepted a stop of it. */
  stopAcceptedMs?: number;
}

interface Options {
  nats: NatsConnection;
  /** Whether the cloud's connection to NATS is there. */
  connected(): boolean;
  random: Random;
  heartbeatMs: number;
  dropletLostMs: number;
  /** Logs each heartbeat, and DEAs that start, end, disconnect and reconnect. */
  truth: Pick<Logger, 'info'>;
}

/** The share of DEAs with each habit of another generation. */
const OTHER_GENERATION = 0.3;
const STEP_MS = 20;
/** The health manager may already take a silence that is this much shorter than `droplet_lost` for a loss. */
export const SILENCE_SLACK_MS = 500;
/** How long a crashed instance is listed as CRASHED. */
const CRASHED_LISTED_MS = 8_000;
/** From the start of an instance until it is RUNNING. */
const STARTING_MS: readonly [number, number] = [100, 1_200];
/** How long the referee can still see an instance that ended. */
const REMEMBERED_MS = 120_000;
const FORGET_EVERY_MS = 5_000;

/** A DEA of the chaos cloud. */
export class ChaosDea extends SimulatedDea<TrueInstance> {
  /** It has sent no heartbeat since it was last disconnected. */
  silentSinceDisconnect = false;
  evacuating = false;
  /** It lists instances of others (event *DEA lies*), and takes none. */
  lies = false;
  /** It sends no exit for an instance that was stopped, as DEAs from 2014. */
  stopsWithoutExit = false;
  /** It sends a heartbeat with a single instance when that is RUNNING, as DEAs until 2013. */
  sendsSingle = false;
  nextHeartbeatMs: number;
  /** When it sent its last heartbeat that was not lost. */
  lastHeartbeatMs?: number;
  /** The same of the one before. */
  previousHeartbeatMs?: number;

  constructor(options: DeaOptions, nextHeartbeatMs: number) {
    super(options);
    this.nextHeartbeatMs = nextHeartbeatMs;
  }

  protected override newInstance(instance: SimulatedInstance): TrueInstance {
    return { ...instance, dea: this };
  }
}

/** All DEAs of the cloud with all that they run: the truth that the referee judges by. */
export class Deas {
  readonly all = new Set<ChaosDea>();
  /** How many messages of each subject left. */
  readonly sentCounts = new Map<string, number>();
  readonly #options: Options;
  /** Instances by droplet, including those that ended recently. */
  readonly #byDroplet = new Map<string, Set<TrueInstance>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #heartbeats: NodeJS.Timeout;
  readonly #forgetting: NodeJS.Timeout;

  constructor(options: Options) {
    this.#options = options;
    this.#heartbeats = setInterval(() => this.#sendDueHeartbeats(), STEP_MS);
    this.#forgetting = setInterval(() => this.#forgetEnded(performance.now()), FORGET_EVERY_MS);
    // An ingestor asks for heartbeats when it starts.
    options.nats.subscribe(SUBJECTS.healthmanagerStart, {
      callback: () => {
        for (const dea of this.all) {
          const soonMs = performance.now() + this.#random.between(0, 100);
          dea.nextHeartbeatMs = Math.min(dea.nextHeartbeatMs, soonMs);
        }
      },
    });
  }

  get #random(): Random {
    return this.#options.random;
  }

  stop(): void {
    clearInterval(this.#heartbeats);
    clearInterval(this.#forgetting);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  add(): ChaosDea {
    const nextHeartbeatMs = performance.now() + this.#random.between(0, this.#options.heartbeatMs);
    const options: DeaOptions = {
      id: this.#random.guid(),
      publish: (subject, payload) => this.#publish(subject, payload),
      newGuid: () => this.#random.guid().replaceAll('-', ''),
      nowS: () => Date.now() / 1000,
    };
    const dea = new ChaosDea(options, nextHeartbeatMs);
    dea.stopsWithoutExit = this.#random.chance(OTHER_GENERATION);
    dea.sendsSingle = this.#random.chance(OTHER_GENERATION);
    this.all.add(dea);
    this.#note('dea_started', dea);
    return dea;
  }

  /** The instances of a droplet; with `ended` also those that ended recently. */
  instancesOf(droplet: string, { ended = false } = {}): TrueInstance[] {
    const instances = [...(this.#byDroplet.get(droplet) ?? [])];
    return instances.filter((instance) => ended || instance.endedMs === undefined);
  }

  droplets(): Iterable<string> {
    return this.#byDroplet.keys();
  }

  /** The DEAs that take instances. */
  available(): ChaosDea[] {
    return [...this.all].filter(({ connected, evacuating, lies }) => connected && !evacuating && !lies);
  }

  /** Runs an instance from now on: STARTING at first, RUNNING soon after. */
  run(dea: ChaosDea, droplet: string, version: string, index: number): TrueInstance {
    const instance = dea.launch({ droplet, version, index }, 'STARTING');
    const others = this.#byDroplet.get(droplet) ?? new Set();
    this.#byDroplet.set(droplet, others.add(instance));
    this.later(this.#random.between(...STARTING_MS), () => {
      if (instance.endedMs !== undefined || instance.state !== 'STARTING') return;
      dea.setState(instance, 'RUNNING');
      // The truth counts an instance as listed by full heartbeats only; the next one follows soon.
      if (dea.sendsSingle && dea.connected) {
        const isSent = this.#publish(SUBJECTS.heartbeat, heartbeatText(dea.id, PARTITION, [instance]));
        if (isSent) instance.lastRunningMs = performance.now();
      }
    });
    return instance;
  }

  /** A DEA gives a running instance another version in place, and with it a new guid. No message announces it. */
  rename(old: TrueInstance, version: string): void {
    const { dea, droplet, index } = old;
    if (old.endedMs !== undefined || old.state !== 'RUNNING' || !dea.connected) return;
    this.end(old, 'STOPPED', { silently: true });
    const renamed = dea.launch({ droplet, version, index }, 'RUNNING');
    const nowMs = performance.now();
    Object.assign(renamed, {
      renamedMs: nowMs,
      steadySinceMs: nowMs,
      lastListedMs: nowMs,
      lastRunningMs: nowMs,
    });
    this.#byDroplet.get(droplet)?.add(renamed);
  }

  /** An instance ends. Its exit is sent if its DEA is connected, unless `silently`. */
  end(instance: TrueInstance, reason: ExitReason, { silently = false } = {}): void {
    if (instance.endedMs !== undefined) return;
    instance.endedMs = performance.now();
    instance.dea.unlist(instance);
    if (silently) return;
    sendExited(instance, reason);
    if (reason === 'CRASHED') this.#listCrashed(instance);
  }

  /** The DEA dies with all that it runs. */
  die(dea: ChaosDea): void {
    for (const instance of [...dea.listed.values()]) this.end(instance, 'CRASHED', { silently: true });
    this.all.delete(dea);
    this.#note('dea_died', dea);
  }

  /** The DEA shuts down in order. */
  shutDown(dea: ChaosDea): void {
    const running = [...dea.listed.values()].filter(({ state }) => state !== 'CRASHED');
    for (const instance of running) this.end(instance, 'DEA_SHUTDOWN');
    dea.sendShutdown(running.map(({ droplet }) => droplet));
    this.die(dea);
  }

  /** The DEA is evacuated: it sends an exit of each instance, which goes on for a while. */
  evacuate(dea: ChaosDea): void {
    dea.evacuating = true;
    for (const instance of dea.listed.values()) {
      if (instance.state !== 'STARTING' && instance.state !== 'RUNNING') continue;
      dea.setState(instance, 'EVACUATING');
      sendExited(instance, 'DEA_EVACUATION');
    }
  }

  disconnect(dea: ChaosDea): void {
    dea.connected = false;
    dea.silentSinceDisconnect = true;
    this.#note('dea_disconnected', dea);
  }

  reconnect(dea: ChaosDea): void {
    dea.connected = true;
    this.#note('dea_reconnected', dea);
  }

  /**
   * The last heartbeat of the DEA reached no ingestor: what it listed is as if it had not been sent.
   *
   * @param entries how many instances it listed; one that was not a full list does not count anyway
   */
  heartbeatLost(id: string, entries: number): void {
    const dea = [...this.all].find((other) => other.id === id);
    if (dea?.lastHeartbeatMs === undefined || entries < dea.listed.size) return;
    const { lastHeartbeatMs: lostMs, previousHeartbeatMs: beforeMs } = dea;
    for (const instance of dea.listed.values()) {
      if (instance.lastListedMs !== lostMs) continue;
      const isFirst = instance.steadySinceMs === lostMs || beforeMs === undefined;
      if (isFirst) delete instance.steadySinceMs;
      if (isFirst) delete instance.lastListedMs;
      else instance.lastListedMs = beforeMs;
      if (instance.lastRunningMs !== lostMs) continue;
      if (isFirst) delete instance.lastRunningMs;
      else instance.lastRunningMs = beforeMs;
    }
    if (beforeMs === undefined) delete dea.lastHeartbeatMs;
    else dea.lastHeartbeatMs = beforeMs;
  }

  /** Runs `work` after `ms`, unless the cloud has stopped by then. */
  later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  #listCrashed({ dea, droplet, version, index }: TrueInstance): void {
    const crashed = dea.launch({ droplet, version, index }, 'CRASHED');
    this.later(CRASHED_LISTED_MS, () => dea.unlist(crashed));
  }

  #sendDueHeartbeats(): void {
    const nowMs = performance.now();
    for (const dea of this.all) {
      if (dea.nextHeartbeatMs > nowMs) continue;
      dea.nextHeartbeatMs = Math.max(dea.nextHeartbeatMs + this.#options.heartbeatMs, nowMs);
      this.#sendHeartbeat(dea, nowMs);
    }
  }

  #sendHeartbeat(dea: ChaosDea, nowMs: number): void {
    if (!dea.sendHeartbeat()) return;
    // After a long disconnection the DEA may have been lost, so its instances count as new reports.
    const steadyUntilMs = dea.silentSinceDisconnect
      ? nowMs - this.#options.dropletLostMs + SILENCE_SLACK_MS
      : Number.NEGATIVE_INFINITY;
    dea.silentSinceDisconnect = false;
    if (dea.lastHeartbeatMs !== undefined) dea.previousHeartbeatMs = dea.lastHeartbeatMs;
    dea.lastHeartbeatMs = nowMs;
    this.#note('heartbeat', dea);
    for (const instance of dea.listed.values()) {
      const { state, lastListedMs } = instance;
      if (state !== 'STARTING' && state !== 'RUNNING') continue;
      if (lastListedMs === undefined || lastListedMs < steadyUntilMs) instance.steadySinceMs = nowMs;
      instance.lastListedMs = nowMs;
      if (state === 'RUNNING') instance.lastRunningMs = nowMs;
    }
  }

  #note(event: string, { id, listed }: ChaosDea): void {
    this.#options.truth.info({ event, dea: id, instances: listed.size });
  }

  #publish(subject: string, payload: string): boolean {
    if (!this.#options.connected()) return false;
    this.#options.nats.publish(subject, payload);
    this.sentCounts.set(subject, (this.sentCounts.get(subject) ?? 0) + 1);
    return true;
  }

  #forgetEnded(nowMs: number): void {
    for (const [droplet, instances] of this.#byDroplet) {
      for (const instance of instances) {
        if (nowMs - (instance.endedMs ?? nowMs) > REMEMBERED_MS) instances.delete(instance);
      }
      if (instances.size === 0) this.#byDroplet.delete(droplet);
    }
  }
}

function sendExited(instance: TrueInstance, reason: ExitReason): void {
  if (instance.dea.sendExited(instance, reason)) instance.exitSentMs = performance.now();
}
