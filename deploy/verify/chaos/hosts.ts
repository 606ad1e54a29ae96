import type { NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { ExitReason } from '../../../common/model/reasons.ts';
import { exitedText, heartbeatText, type Reported, shutdownText } from '../../demo/dea/dea-messages.ts';
import type { Random } from './random.ts';

/** An instance as it truly is, and what was told of it. Times in ms on this process's monotonic clock. */
export interface TrueInstance extends Reported {
  host: Host;
  /** Of the heartbeats that listed it as it is now (STARTING or RUNNING): the first since its host was cut off for long. */
  steadySinceMs?: number;
  /** The latest heartbeat that listed it as STARTING or RUNNING; as RUNNING. */
  lastListedMs?: number;
  lastRunningMs?: number;
  /** It is no more. */
  endedMs?: number;
  /** Its end was told. */
  exitSaidMs?: number;
  /** The controller last accepted a stop of it. */
  stopMs?: number;
}

/** A DEA. */
export interface Host {
  id: string;
  instances: Map<string, TrueInstance>;
  /** Not on the network: it says nothing and hears nothing, what it runs goes on. */
  cutSinceMs?: number;
  /** It is or was cut off and has said nothing since. */
  unheardSinceCut: boolean;
  evacuating: boolean;
  nextBeatMs: number;
  /** The latest heartbeat that it said. */
  lastBeatMs?: number;
  /** The heartbeat as it was last encoded; absent when something has changed. */
  text?: string;
}

interface Options {
  nats: NatsConnection;
  /** Whether the hosts' connection to NATS is there. */
  connected(): boolean;
  random: Random;
  beatMs: number;
  dropletLostMs: number;
  /** Is told of each heartbeat, and of hosts that come, go, are cut off and are back. */
  truth: Pick<Logger, 'info'>;
}

const PARTITION = 'default';
const STEP_MS = 20;
/** A silence so much shorter than `droplet_lost` may already be one for the health manager. */
export const SILENCE_SLACK_MS = 500;
/** So long a crashed instance is listed as CRASHED. */
const CRASHED_LISTED_MS = 8_000;
/** From the start of an instance until it runs. */
const STARTING_MS: readonly [number, number] = [100, 1_200];
/** An instance that ended is remembered for the referee so long. */
const REMEMBERED_MS = 120_000;
const FORGET_EVERY_MS = 5_000;

/** All hosts of the cloud with all that they run: its truth. Speaks the contract of DEAs and nothing else. */
export class Hosts {
  readonly all = new Set<Host>();
  /** Messages that left, by subject. */
  readonly said = new Map<string, number>();
  readonly #options: Options;
  /** Instances by droplet, those included that have ended not long ago. */
  readonly #of = new Map<string, Set<TrueInstance>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #step: NodeJS.Timeout;
  readonly #forgetting: NodeJS.Timeout;

  constructor(options: Options) {
    this.#options = options;
    this.#step = setInterval(() => this.#beatDue(), STEP_MS);
    this.#forgetting = setInterval(() => this.#forget(performance.now()), FORGET_EVERY_MS);
    // An ingestor that begins to listen asks for it.
    options.nats.subscribe(SUBJECTS.healthmanagerStart, {
      callback: () => {
        for (const host of this.all)
          host.nextBeatMs = Math.min(host.nextBeatMs, performance.now() + this.#random.between(0, 100));
      },
    });
  }

  get #random(): Random {
    return this.#options.random;
  }

  stop(): void {
    clearInterval(this.#step);
    clearInterval(this.#forgetting);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  add(): Host {
    const nextBeatMs = performance.now() + this.#random.between(0, this.#options.beatMs);
    const host: Host = {
      id: this.#random.guid(),
      instances: new Map(),
      unheardSinceCut: false,
      evacuating: false,
      nextBeatMs,
    };
    this.all.add(host);
    this.#note('host_new', host);
    return host;
  }

  /** Instances of a droplet that are there; with `ended` also those that were. */
  of(droplet: string, { ended = false } = {}): TrueInstance[] {
    return [...(this.#of.get(droplet) ?? [])].filter((instance) => ended || instance.endedMs === undefined);
  }

  droplets(): Iterable<string> {
    return this.#of.keys();
  }

  /** Hosts that take instances. */
  free(): Host[] {
    return [...this.all].filter(({ cutSinceMs, evacuating }) => cutSinceMs === undefined && !evacuating);
  }

  /** Runs an instance from now on: STARTING, soon RUNNING. */
  run(host: Host, droplet: string, version: string, index: number): TrueInstance {
    const instance = this.#put(host, droplet, version, index, 'STARTING');
    this.later(this.#random.between(...STARTING_MS), () => {
      if (instance.endedMs === undefined && instance.state === 'STARTING') this.#turn(instance, 'RUNNING');
    });
    return instance;
  }

  /** An instance ends; whether that is told depends on its host, and on `silently`. */
  end(instance: TrueInstance, reason: ExitReason, { silently = false } = {}): void {
    if (instance.endedMs !== undefined) return;
    instance.endedMs = performance.now();
    instance.host.instances.delete(instance.guid);
    delete instance.host.text;
    if (!silently) this.#sayExited(instance, reason);
    if (reason === 'CRASHED' && !silently) this.#listCrashed(instance);
  }

  /** The host dies with all that it runs. */
  die(host: Host): void {
    for (const instance of [...host.instances.values()]) this.end(instance, 'CRASHED', { silently: true });
    this.all.delete(host);
    this.#note('host_died', host);
  }

  /** The host leaves in order. */
  shutDown(host: Host): void {
    const running = [...host.instances.values()].filter(({ state }) => state !== 'CRASHED');
    for (const instance of running) this.end(instance, 'DEA_SHUTDOWN');
    const droplets = running.map(({ droplet }) => droplet);
    this.#say(host, SUBJECTS.shutdown, shutdownText(host.id, droplets));
    this.die(host);
  }

  /** The host is being emptied: it says so of all that it runs, which goes on for a while. */
  evacuate(host: Host): void {
    host.evacuating = true;
    for (const instance of host.instances.values()) {
      if (instance.state !== 'STARTING' && instance.state !== 'RUNNING') continue;
      this.#turn(instance, 'EVACUATING');
      this.#sayExited(instance, 'DEA_EVACUATION');
    }
  }

  cut(host: Host): void {
    host.cutSinceMs ??= performance.now();
    host.unheardSinceCut = true;
    this.#note('host_cut', host);
  }

  mend(host: Host): void {
    delete host.cutSinceMs;
    this.#note('host_back', host);
  }

  /** Work that the cloud does a little later, unless it has ended. */
  later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  #put(host: Host, droplet: string, version: string, index: number, state: string): TrueInstance {
    const guid = this.#random.guid().replaceAll('-', '');
    const instance = { guid, droplet, version, index, state, sinceS: Date.now() / 1000, host };
    host.instances.set(guid, instance);
    delete host.text;
    if (state !== 'CRASHED') {
      const others = this.#of.get(droplet) ?? new Set();
      this.#of.set(droplet, others.add(instance));
    }
    return instance;
  }

  #turn(instance: TrueInstance, state: string): void {
    instance.state = state;
    instance.sinceS = Date.now() / 1000;
    delete instance.host.text;
  }

  #listCrashed({ host, droplet, version, index }: TrueInstance): void {
    const trace = this.#put(host, droplet, version, index, 'CRASHED');
    this.later(CRASHED_LISTED_MS, () => {
      host.instances.delete(trace.guid);
      delete host.text;
    });
  }

  #sayExited(instance: TrueInstance, reason: ExitReason): void {
    const ended = { code: reason === 'CRASHED' ? 1 : 0, signal: null };
    const said = this.#say(instance.host, SUBJECTS.exited, exitedText(PARTITION, instance, reason, ended));
    if (said) instance.exitSaidMs = performance.now();
  }

  #beatDue(): void {
    const nowMs = performance.now();
    for (const host of this.all) {
      if (host.nextBeatMs > nowMs) continue;
      host.nextBeatMs = Math.max(host.nextBeatMs + this.#options.beatMs, nowMs);
      this.#beat(host, nowMs);
    }
  }

  #beat(host: Host, nowMs: number): void {
    host.text ??= heartbeatText(host.id, PARTITION, host.instances.values());
    if (!this.#say(host, SUBJECTS.heartbeat, host.text)) return;
    // By now it may have been taken for dead, and has to be heard anew.
    const anew = host.unheardSinceCut
      ? nowMs - this.#options.dropletLostMs + SILENCE_SLACK_MS
      : Number.NEGATIVE_INFINITY;
    host.unheardSinceCut = false;
    host.lastBeatMs = nowMs;
    this.#note('beat', host);
    for (const instance of host.instances.values()) {
      const { state, lastListedMs } = instance;
      if (state !== 'STARTING' && state !== 'RUNNING') continue;
      if (lastListedMs === undefined || lastListedMs < anew) instance.steadySinceMs = nowMs;
      instance.lastListedMs = nowMs;
      if (state === 'RUNNING') instance.lastRunningMs = nowMs;
    }
  }

  #note(event: string, { id, instances }: Host): void {
    this.#options.truth.info({ event, dea: id, instances: instances.size });
  }

  #say(host: Host, subject: string, text: string): boolean {
    if (host.cutSinceMs !== undefined || !this.#options.connected()) return false;
    this.#options.nats.publish(subject, text);
    this.said.set(subject, (this.said.get(subject) ?? 0) + 1);
    return true;
  }

  #forget(nowMs: number): void {
    for (const [droplet, instances] of this.#of) {
      for (const instance of instances) {
        if (nowMs - (instance.endedMs ?? nowMs) > REMEMBERED_MS) instances.delete(instance);
      }
      if (instances.size === 0) this.#of.delete(droplet);
    }
  }
}
