import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { SUBJECTS } from '../../common/subjects.ts';
import type { ExitReason } from '../../common/droplet.ts';
import { type Ended, InstanceProcess } from './instance.ts';
import { type InstanceView, type PlaceRequest, placeRequest, placeSubject, STOP_SUBJECT, stopInstances } from './protocol.ts';

export interface AgentOptions {
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
interface Entry {
  guid: string;
  droplet: string;
  version: string;
  index: number;
  state: 'STARTING' | 'RUNNING' | 'EVACUATING' | 'STOPPING' | 'CRASHED';
  sinceS: number;
  process?: InstanceProcess;
  /** Why it is being stopped. */
  stopping?: ExitReason;
}

/** A host agent (DEA) of the demo: runs instances as real processes and tells of them (contract: messages in). */
export class Agent {
  readonly id = randomUUID();
  readonly #options: AgentOptions;
  /** In order of arrival, so that heartbeats without news are equal byte for byte. */
  readonly #entries = new Map<string, Entry>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #evacuating = false;
  #leaving = false;
  #empty: (() => void) | undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { nats, heartbeatMs } = this.#options;
    nats.subscribe(placeSubject(this.id), {
      callback: (error, message) => {
        if (error === null) message.respond(JSON.stringify(this.#place(message.json())));
      },
    });
    nats.subscribe(STOP_SUBJECT, {
      callback: (error, message) => {
        if (error === null) this.#stopNamed(message.json());
      },
    });
    nats.subscribe(SUBJECTS.listening, { callback: (error) => void (error ?? this.heartbeat()) });
    await nats.flush();
    this.#every(heartbeatMs, () => this.heartbeat());
    this.heartbeat();
  }

  /** Key order and content as the contract says; `dea` last. */
  heartbeat(): void {
    if (this.#leaving) return;
    const droplets = [...this.#entries.values()]
      .filter((entry) => entry.state !== 'STOPPING')
      .map((entry) => ({
        cc_partition: this.#options.partition,
        droplet: entry.droplet,
        version: entry.version,
        instance: entry.guid,
        index: entry.index,
        state: entry.state,
        state_timestamp: entry.sinceS,
      }));
    this.#publish(SUBJECTS.heartbeat, { droplets, dea: this.id });
  }

  /** Says of all instances that they are leaving; they run on until somebody else runs them too. */
  evacuate(): void {
    if (this.#evacuating || this.#leaving) return;
    this.#evacuating = true;
    this.#options.onEvacuating();
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'STARTING' && entry.state !== 'RUNNING') continue;
      this.#change(entry, 'EVACUATING');
      this.#exited(entry, 'DEA_EVACUATION', { code: null, signal: null });
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
    const counts: Record<string, number> = {};
    for (const { process, droplet } of this.#entries.values()) {
      if (process !== undefined) counts[droplet] = (counts[droplet] ?? 0) + 1;
    }
    this.#publish(SUBJECTS.shutdown, { id: this.id, ip: '127.0.0.1', version: '0.0.1', app_id_to_count: counts });
    for (const entry of this.#entries.values()) this.#stop(entry, 'DEA_SHUTDOWN');
    await this.#emptyWithin(2 * this.#graceMs);
    await this.#options.nats.flush();
  }

  #place(request: unknown): { instance: string } | { refused: string } {
    if (!placeRequest.Check(request)) return { refused: 'malformed' };
    if (this.#evacuating || this.#leaving) return { refused: 'leaving' };
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
    return { instance: entry.guid };
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

  #exited(entry: Entry, reason: ExitReason, { code, signal }: Ended): void {
    this.#publish(SUBJECTS.exited, {
      cc_partition: this.#options.partition,
      droplet: entry.droplet,
      version: entry.version,
      instance: entry.guid,
      index: entry.index,
      reason,
      exit_status: code,
      exit_description: signal === null ? '' : `ended by ${signal}`,
      ...(reason === 'CRASHED' && { crash_timestamp: Math.floor(nowS()) }),
    });
  }

  #change(entry: Entry, state: Entry['state']): void {
    entry.state = state;
    entry.sinceS = nowS();
    this.#news();
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.guid);
    this.#news();
    if (![...this.#entries.values()].some((left) => left.process)) this.#empty?.();
  }

  #news(): void {
    const view = ({ guid, droplet, version, index, state, process }: Entry): InstanceView => ({
      ...{ guid, droplet, version, index, state },
      ...(process?.pid !== undefined && { pid: process.pid }),
    });
    this.#options.onInstances([...this.#entries.values()].map(view));
  }

  /** Waits until no process is left; after `limitMs` no longer. */
  async #emptyWithin(limitMs: number): Promise<void> {
    if (![...this.#entries.values()].some((entry) => entry.process)) return;
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

  #publish(subject: string, payload: unknown): void {
    const { nats, log } = this.#options;
    if (nats.isClosed()) log.warn({ subject }, 'not sent: the connection is closed');
    else nats.publish(subject, JSON.stringify(payload));
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #every(ms: number, act: () => void): void {
    this.#timers.add(setInterval(act, ms));
  }
}

function nowS(): number {
  return Date.now() / 1000;
}
