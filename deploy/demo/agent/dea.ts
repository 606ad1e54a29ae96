import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { ExitReason } from '../../../common/model/reasons.ts';
import { parseJson } from '../json.ts';
import {
  type InstanceView,
  LOCATE_SUBJECT,
  type PlaceReply,
  type PlaceRequest,
  placeRequest,
  placeSubject,
  STOP_SUBJECT,
  stopInstances,
} from '../protocol.ts';
import { LateTimer } from '../stage/lateness.ts';
import { exitedText, heartbeatText, type Reported, shutdownText } from './dea-messages.ts';
import { type Ended, InstanceProcess } from './instance.ts';

export interface DeaOptions {
  nats: NatsConnection;
  partition: string;
  heartbeatMs: number;
  log: Logger;
  /** Called at every change, before the change is published on NATS. */
  onInstances(instances: InstanceView[]): void;
  onEvacuating(): void;
  /** Called when a heartbeat is more than another interval late (ms). */
  onLate?: (ms: number) => void;
  logDir?: string;
  /** An instance is STARTING for this long, then RUNNING (default 200 ms). */
  startingMs?: number;
  /** Heartbeats list a crashed instance for this long (default 10 s). */
  crashedForMs?: number;
  /** The time from SIGTERM to SIGKILL for an instance that is stopped (default 1 s). */
  graceMs?: number;
  /** An evacuation ends after this time; the DEA then stops what still runs (default 30 s). */
  evacuationMs?: number;
}

/**
 * One instance: STARTING -> RUNNING (-> EVACUATING) -> STOPPING -> ended, published as `droplet.exited`. An instance
 * that dies is published as CRASHED, and heartbeats list it without a process, under a new guid, for a while.
 * No heartbeat lists a STOPPING instance.
 */
interface Entry extends Reported {
  state: 'STARTING' | 'RUNNING' | 'EVACUATING' | 'STOPPING' | 'CRASHED';
  process?: InstanceProcess;
  /** Why it is being stopped. */
  stopping?: ExitReason;
}

/** A DEA of the demo: runs instances as real processes and publishes their states (contract: messages in). */
export class Dea {
  readonly id = randomUUID();
  readonly #options: DeaOptions;
  /** In order of their start, so that heartbeats of an unchanged DEA are equal byte for byte. */
  readonly #entries = new Map<string, Entry>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #heartbeats: LateTimer | undefined;
  #evacuating = false;
  #leaving = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: DeaOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { nats, heartbeatMs } = this.#options;
    nats.subscribe(placeSubject(this.id), {
      callback: (error, message) => {
        if (error === null) message.respond(JSON.stringify(this.#answer(parseJson(message.string()))));
      },
    });
    nats.subscribe(STOP_SUBJECT, {
      callback: (error, message) => {
        if (error === null) this.#stopNamed(parseJson(message.string()));
      },
    });
    for (const subject of [SUBJECTS.healthmanagerStart, LOCATE_SUBJECT]) {
      nats.subscribe(subject, { callback: (error) => void (error ?? this.heartbeat()) });
    }
    await nats.flush();
    this.#heartbeats = new LateTimer(heartbeatMs, () => this.heartbeat(), this.#options.onLate);
    this.heartbeat();
  }

  heartbeat(): void {
    if (this.#leaving) return;
    const listed = this.#all().filter(({ state }) => state !== 'STOPPING');
    this.#publish(SUBJECTS.heartbeat, heartbeatText(this.id, this.#options.partition, listed));
  }

  /** Marks all instances as EVACUATING. They run on until their replacements run and the health manager stops them. */
  evacuate(): void {
    if (this.#evacuating || this.#leaving) return;
    this.#evacuating = true;
    this.#options.onEvacuating();
    for (const entry of this.#all()) {
      if (entry.state !== 'STARTING' && entry.state !== 'RUNNING') continue;
      this.#change(entry, 'EVACUATING');
      this.#exited(entry, 'DEA_EVACUATION');
    }
    this.heartbeat();
  }

  /** Resolves when the evacuation has no instance left, or after `evacuationMs`. */
  async evacuated(): Promise<void> {
    await this.#emptyWithin(this.#options.evacuationMs ?? 30_000);
  }

  /** Publishes `dea.shutdown` and stops all instances. No process of theirs is left when it returns. */
  async shutdown(): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#heartbeats?.stop();
    for (const timer of this.#timers) clearTimeout(timer);
    const running = this.#all().flatMap((entry) => (entry.process ? [entry.droplet] : []));
    this.#publish(SUBJECTS.shutdown, shutdownText(this.id, running));
    for (const entry of this.#all()) this.#stop(entry, 'DEA_SHUTDOWN');
    await this.#emptyWithin(2 * this.#graceMs);
    await this.#options.nats.flush();
  }

  #answer(request: unknown): PlaceReply {
    if (!placeRequest.Check(request)) return { refused: 'malformed' };
    if (this.#evacuating || this.#leaving) return { refused: 'leaving' };
    try {
      return { instance: this.#place(request) };
    } catch (error) {
      const refused = error instanceof Error ? error.message : String(error);
      this.#options.log.error({ request, refused }, 'instance not started');
      return { refused };
    }
  }

  #place(request: PlaceRequest): string {
    const { droplet, version, index } = request;
    const entry: Entry = { guid: randomUUID(), droplet, version, index, state: 'STARTING', sinceS: nowS() };
    entry.process = this.#run(entry, request);
    this.#entries.set(entry.guid, entry);
    this.#notify();
    void entry.process.ended.then((ended) => this.#ended(entry, ended));
    this.#after(this.#options.startingMs ?? 200, () => {
      if (entry.state !== 'STARTING' || !this.#entries.has(entry.guid)) return;
      this.#change(entry, 'RUNNING');
      this.heartbeat();
    });
    return entry.guid;
  }

  #run({ guid, droplet, index }: Entry, { command }: PlaceRequest): InstanceProcess {
    const env = { ...process.env, APP_NAME: droplet, INSTANCE_INDEX: String(index), INSTANCE_GUID: guid };
    const { logDir } = this.#options;
    return new InstanceProcess(command, env, logDir && join(logDir, `${droplet}-${index}.log`));
  }

  #stopNamed(message: unknown): void {
    if (!stopInstances.Check(message)) return;
    for (const guid of message.instances) {
      const entry = this.#entries.get(guid);
      if (entry !== undefined) this.#stop(entry, 'STOPPED');
    }
  }

  #stop(entry: Entry, reason: ExitReason): void {
    if (entry.stopping !== undefined) return;
    if (entry.process === undefined) {
      this.#remove(entry);
      return;
    }
    entry.stopping = reason;
    this.#change(entry, 'STOPPING');
    entry.process.stop(this.#graceMs);
  }

  #ended(entry: Entry, ended: Ended): void {
    this.#remove(entry);
    if (entry.stopping !== undefined) {
      this.#exited(entry, entry.stopping, ended);
      return;
    }
    const crashed: Entry = { ...entry, guid: randomUUID(), state: 'CRASHED', sinceS: nowS() };
    delete crashed.process;
    this.#entries.set(crashed.guid, crashed);
    this.#notify();
    this.#exited(entry, 'CRASHED', ended);
    this.#after(this.#options.crashedForMs ?? 10_000, () => this.#remove(crashed));
  }

  #exited(entry: Entry, reason: ExitReason, ended?: Ended): void {
    this.#publish(SUBJECTS.exited, exitedText(this.#options.partition, entry, reason, ended));
  }

  #all(): Entry[] {
    return [...this.#entries.values()];
  }

  #change(entry: Entry, state: Entry['state']): void {
    entry.state = state;
    entry.sinceS = nowS();
    this.#notify();
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.guid);
    this.#notify();
    if (!this.#all().some((left) => left.process)) this.#onEmpty?.();
  }

  #notify(): void {
    const view = ({ guid, droplet, version, index, state, process }: Entry): InstanceView => ({
      ...{ guid, droplet, version, index, state },
      ...(process?.pid !== undefined && { pid: process.pid }),
    });
    this.#options.onInstances(this.#all().map(view));
  }

  /** Waits until no process is left, at most `limitMs`. */
  async #emptyWithin(limitMs: number): Promise<void> {
    if (!this.#all().some((entry) => entry.process)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  get #graceMs(): number {
    return this.#options.graceMs ?? 1_000;
  }

  #publish(subject: string, text: string): void {
    const { nats, log } = this.#options;
    if (nats.isClosed()) log.warn({ subject }, 'message not sent: connection closed');
    else nats.publish(subject, text);
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }
}

function nowS(): number {
  return Date.now() / 1000;
}
