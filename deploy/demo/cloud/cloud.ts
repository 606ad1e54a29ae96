import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from '../controller/apps.ts';
import type { ControllerEvent, DeaEvent, InstanceView, Role } from '../protocol.ts';

export interface CloudOptions {
  /** NATS URL. */
  nats: string;
  partition: string;
  appsFile: string;
  /** For the log of the cloud and the output of its instances. */
  logDir: string;
  deas: number;
  heartbeatMs: number;
  /** The time from the end of a DEA to the start of its replacement. */
  replaceAfterMs: number;
  /** The program of the child processes; default: `child.js` beside this file. */
  childFile?: string;
}

/** One host of the cloud. */
export interface DeaView {
  /** The host's name, `dea-1`; a replacement keeps it. */
  name: string;
  /** The DEA's guid; a replacement has a new one. */
  id?: string;
  state: 'starting' | 'up' | 'evacuating' | 'gone';
  pid?: number;
  /** Only when gone: when the replacement starts, on the clock of `performance.now()`. */
  backAtMs?: number;
  instances: InstanceView[];
}

export type CloudEvent =
  | ControllerEvent
  | { type: 'dea'; dea: DeaView; killed?: boolean }
  /** A heartbeat of the DEA is this late (ms). */
  | { type: 'late'; dea: DeaView; ms: number }
  | { type: 'instances'; dea: DeaView; before: InstanceView[] };

export interface Cloud {
  events: EventEmitter<{ event: [CloudEvent] }>;
  bulkPort: number;
  deas(): readonly DeaView[];
  /** The desired state, as the controller last reported it. */
  apps(): readonly App[];
  /** Ends all processes of the cloud. None is left when it returns. */
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 20_000;
const KILL_AFTER_MS = 3_000;
const CONTROLLER_RESTART_MS = 1_000;

/**
 * Runs the demo cloud: a controller and some DEAs, each in a process of its own. A DEA that ends is replaced after
 * `replaceAfterMs`, like a host. Its instances end with it (see `dea/instance.ts`).
 *
 * @throws Error when a process does not become ready
 */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const supervisor = new Supervisor(options);
  try {
    await supervisor.start();
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
  return supervisor;
}

class Supervisor implements Cloud {
  readonly events = new EventEmitter<{ event: [CloudEvent] }>();
  bulkPort = 0;
  readonly #options: CloudOptions;
  readonly #children = new Set<ChildProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #deas: DeaView[] = [];
  #apps: readonly App[] = [];
  #stopping = false;

  constructor(options: CloudOptions) {
    this.#options = options;
  }

  deas(): readonly DeaView[] {
    return this.#deas;
  }

  apps(): readonly App[] {
    return this.#apps;
  }

  async start(): Promise<void> {
    const names = Array.from({ length: this.#options.deas }, (_, at) => `dea-${at + 1}`);
    this.#deas.push(...names.map((name): DeaView => ({ name, state: 'starting', instances: [] })));
    await Promise.all([this.#startController(), ...this.#deas.map((dea) => this.#startDea(dea))]);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all([...this.#children].map(end));
  }

  #startController(): Promise<void> {
    const { nats, partition, appsFile, heartbeatMs } = this.#options;
    const port = this.bulkPort === 0 ? {} : { port: this.bulkPort };
    const child = this.#fork({ role: 'controller', nats, partition, appsFile, heartbeatMs, ...port });
    child.once('exit', () => this.#later(CONTROLLER_RESTART_MS, () => this.#startController()));
    return ready(child, (event: ControllerEvent) => {
      if (event.type === 'ready') this.bulkPort = event.port;
      if (event.type === 'apps') this.#apps = event.apps;
      this.events.emit('event', event);
    });
  }

  #startDea(dea: DeaView): Promise<void> {
    const { nats, partition, heartbeatMs, logDir } = this.#options;
    const child = this.#fork({ role: 'dea', nats, partition, heartbeatMs, logDir });
    delete dea.backAtMs;
    dea.state = 'starting';
    if (child.pid !== undefined) dea.pid = child.pid;
    child.once('exit', (_, signal) => {
      const before = dea.instances;
      dea.state = 'gone';
      dea.instances = [];
      dea.backAtMs = performance.now() + this.#options.replaceAfterMs;
      this.events.emit('event', { type: 'dea', dea, killed: signal === 'SIGKILL' });
      this.events.emit('event', { type: 'instances', dea, before });
      delete dea.pid;
      this.#later(this.#options.replaceAfterMs, () => this.#startDea(dea));
    });
    return ready(child, (event: DeaEvent) => this.#onDeaEvent(dea, event));
  }

  #onDeaEvent(dea: DeaView, event: DeaEvent): void {
    // An event that the DEA sent before it ended may arrive after its end.
    if (dea.state === 'gone') return;
    if (event.type === 'instances') {
      const before = dea.instances;
      dea.instances = event.instances;
      this.events.emit('event', { type: 'instances', dea, before });
      return;
    }
    if (event.type === 'late') {
      this.events.emit('event', { type: 'late', dea, ms: event.ms });
      return;
    }
    if (event.type === 'ready') dea.id = event.id;
    dea.state = event.type === 'ready' ? 'up' : 'evacuating';
    this.events.emit('event', { type: 'dea', dea });
  }

  #fork(role: Role): ChildProcess {
    const log = openSync(join(this.#options.logDir, 'cloud.log'), 'a');
    const file = this.#options.childFile ?? join(import.meta.dirname, 'child.js');
    const child = fork(file, [JSON.stringify(role)], { stdio: ['ignore', log, log, 'ipc'], execArgv: [] });
    closeSync(log);
    this.#children.add(child);
    // The child has ended and can no longer be killed or written to: 'exit' follows.
    child.on('error', () => {});
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Starts a process again after a while. A failed start ends with 'exit' and comes here once more. */
  #later(ms: number, start: () => Promise<void>): void {
    if (this.#stopping) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      start().catch(() => {});
    }, ms);
    this.#timers.add(timer);
  }
}

/** Passes the child's events on. Resolves when the child is ready. */
function ready<Event extends { type: string }>(
  child: ChildProcess,
  onEvent: (event: Event) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`cloud process: not ready within ${READY_WITHIN_MS} ms; see cloud.log`));
    }, READY_WITHIN_MS);
    child.on('message', (event: Event) => {
      if (event.type === 'ready') {
        clearTimeout(late);
        resolve();
      }
      onEvent(event);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(late);
      reject(
        new Error(
          `cloud process: ended with ${signal ?? `exit code ${code}`} before it was ready; see cloud.log`,
        ),
      );
    });
  });
}

/** SIGTERM, then SIGKILL after KILL_AFTER_MS. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  child.kill('SIGTERM');
  await gone;
  clearTimeout(timer);
}
