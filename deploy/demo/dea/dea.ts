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
import { exitedText, heartbeatText, type Reported, shutdownText } from './dea-messages.ts';
import { type Ended, InstanceProcess } from './instance.ts';

export interface DeaOptions {
  nats: NatsConnection;
  partition: string;
  heartbeatMs: number;
  log: Logger;
  /** Called at every change, before it is told on NATS. */
  onInstances(instances: InstanceView[]): void;
  onEvacuating(): void;
  logDir?: string;
  /** A process that lives this long is RUNNING. */
  startingMs?: number;
  /** How long a crashed instance goes on in heartbeats. */
  crashedForMs?: number;
  /** From SIGTERM to SIGKILL for an instance that is told to stop. */
  graceMs?: number;
  /** What has not been told to stop this long after an evacuation began is stopped. */
  evacuationMs?: number;
}

/**
 * One instance: STARTING -> RUNNING (-> EVACUATING) -> STOPPING -> gone, told as `droplet.exited`. One that
 * dies by itself is told with CRASHED, and an entry without a process goes on in its place under a new guid.
 * STOPPING ones are in no heartbeat.
 */
interface Entry extends Reported {
  state: 'STARTING' | 'RUNNING' | 'EVACUATING' | 'STOPPING' | 'CRASHED';
  process?: InstanceProcess;
  /** Why it is being stopped. */
  stopping?: ExitReason;
}

/** A host DEA (DEA) of the demo: runs instances as real processes and tells of them (contract: messages in). */
export class Dea {
  readonly id = randomUUID();
  readonly #options: DeaOptions;
  /** In order of arrival, so that heartbeats without news are equal byte for byte. */
  readonly #entries = new Map<string, Entry>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #evacuating = false;
  #leaving = false;
  #empty: (() => void) | undefined;

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
    this.#timers.add(setInterval(() => this.heartbeat(), heartbeatMs));
    this.heartbeat();
  }

  heartbeat(): void {
    if (this.#leaving) return;
    const listed = this.#all().filter(({ state }) => state !== 'STOPPING');
    this.#publish(SUBJECTS.heartbeat, heartbeatText(this.id, this.#options.partition, listed));
  }

  /** Says of all instances that they are leaving; they run on until somebody else runs them too. */
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

  /** Resolves when an evacuation that was begun has nothing left to do. */
  async evacuated(): Promise<void> {
    await this.#emptyWithin(this.#options.evacuationMs ?? 30_000);
  }

  /** Stops everything and says farewell. Nothing of its instances is left when it returns. */
  async shutdown(): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
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
      this.#options.log.error({ request, refused }, 'cannot start an instance');
      return { refused };
    }
  }

  #place(request: PlaceRequest): string {
    const { droplet, version, index } = request;
    const entry: Entry = { guid: randomUUID(), droplet, version, index, state: 'STARTING', sinceS: nowS() };
    entry.process = this.#run(entry, request);
    this.#entries.set(entry.guid, entry);
    this.#news();
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
    this.#news();
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
    this.#news();
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.guid);
    this.#news();
    if (!this.#all().some((left) => left.process)) this.#empty?.();
  }

  #news(): void {
    const view = ({ guid, droplet, version, index, state, process }: Entry): InstanceView => ({
      ...{ guid, droplet, version, index, state },
      ...(process?.pid !== undefined && { pid: process.pid }),
    });
    this.#options.onInstances(this.#all().map(view));
  }

  /** Waits until no process is left; after `limitMs` no longer. */
  async #emptyWithin(limitMs: number): Promise<void> {
    if (!this.#all().some((entry) => entry.process)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#empty = () => {
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
    if (nats.isClosed()) log.warn({ subject }, 'not sent: the connection is closed');
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
