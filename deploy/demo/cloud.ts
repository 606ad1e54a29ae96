import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from './controller/apps.ts';
import type { AgentNews, ControllerNews, InstanceView, Role } from './protocol.ts';

export interface CloudOptions {
  /** NATS URL. */
  nats: string;
  partition: string;
  appsFile: string;
  /** Logs of the cloud and the output of its instances. */
  logDir: string;
  agents: number;
  heartbeatMs: number;
  /** From the end of an agent to the fresh one in its place. */
  replaceAfterMs: number;
  /** The program of the child processes (default: `child.js` beside this file). */
  childFile?: string;
}

/** One host of the cloud, as the supervisor knows it. */
export interface AgentView {
  /** Of the place, kept by the agent that takes it next: `dea-1`. */
  name: string;
  /** The agent's guid; it is another after a replacement. */
  id?: string;
  state: 'starting' | 'up' | 'evacuating' | 'gone';
  pid?: number;
  /** Only when gone: when the next one starts, on the clock of `performance.now()`. */
  backAtMs?: number;
  instances: InstanceView[];
}

export type CloudEvent =
  | ControllerNews
  | { type: 'agent'; agent: AgentView; killed?: boolean }
  | { type: 'instances'; agent: AgentView; before: InstanceView[] };

export interface Cloud {
  events: EventEmitter<{ event: [CloudEvent] }>;
  bulkPort: number;
  agents(): readonly AgentView[];
  /** What is wanted, as the controller last said. */
  apps(): readonly App[];
  /** Ends all of it; nothing is left when it returns. */
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 20_000;
const KILL_AFTER_MS = 3_000;
const CONTROLLER_RESTART_MS = 1_000;

/**
 * Runs the demo cloud: a controller and some agents, each a process of its own. An agent that ends is
 * replaced by a fresh one after a while, as a host would be. Its instances end with it (see `instance.ts`).
 *
 * @throws Error when a process does not get ready at first
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
  readonly #agents: AgentView[] = [];
  #apps: readonly App[] = [];
  #stopping = false;

  constructor(options: CloudOptions) {
    this.#options = options;
  }

  agents(): readonly AgentView[] {
    return this.#agents;
  }

  apps(): readonly App[] {
    return this.#apps;
  }

  async start(): Promise<void> {
    const names = Array.from({ length: this.#options.agents }, (_, at) => `dea-${at + 1}`);
    this.#agents.push(...names.map((name): AgentView => ({ name, state: 'starting', instances: [] })));
    await Promise.all([this.#startController(), ...this.#agents.map((agent) => this.#startAgent(agent))]);
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
    return ready(child, (news: ControllerNews) => {
      if (news.type === 'ready') this.bulkPort = news.port;
      if (news.type === 'apps') this.#apps = news.apps;
      this.events.emit('event', news);
    });
  }

  #startAgent(agent: AgentView): Promise<void> {
    const { nats, partition, heartbeatMs, logDir } = this.#options;
    const child = this.#fork({ role: 'agent', nats, partition, heartbeatMs, logDir });
    delete agent.backAtMs;
    agent.state = 'starting';
    if (child.pid !== undefined) agent.pid = child.pid;
    child.once('exit', (_, signal) => {
      const before = agent.instances;
      agent.state = 'gone';
      agent.instances = [];
      agent.backAtMs = performance.now() + this.#options.replaceAfterMs;
      this.events.emit('event', { type: 'agent', agent, killed: signal === 'SIGKILL' });
      this.events.emit('event', { type: 'instances', agent, before });
      delete agent.pid;
      this.#later(this.#options.replaceAfterMs, () => this.#startAgent(agent));
    });
    return ready(child, (news: AgentNews) => this.#hear(agent, news));
  }

  #hear(agent: AgentView, news: AgentNews): void {
    // The last words of an agent that has ended may come after its end.
    if (agent.state === 'gone') return;
    if (news.type === 'instances') {
      const before = agent.instances;
      agent.instances = news.instances;
      this.events.emit('event', { type: 'instances', agent, before });
      return;
    }
    if (news.type === 'ready') agent.id = news.id;
    agent.state = news.type === 'ready' ? 'up' : 'evacuating';
    this.events.emit('event', { type: 'agent', agent });
  }

  #fork(role: Role): ChildProcess {
    const log = openSync(join(this.#options.logDir, 'cloud.log'), 'a');
    const file = this.#options.childFile ?? join(import.meta.dirname, 'child.js');
    const child = fork(file, [JSON.stringify(role)], { stdio: ['ignore', log, log, 'ipc'], execArgv: [] });
    closeSync(log);
    this.#children.add(child);
    // That it cannot be told or killed any more: `exit` follows.
    child.on('error', () => {});
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Tries again for ever: what could not be started this time ends, and `exit` comes here once more. */
  #later(ms: number, start: () => Promise<void>): void {
    if (this.#stopping) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      start().catch(() => {});
    }, ms);
    this.#timers.add(timer);
  }
}

/** Passes on all that the child says. Resolves when it is ready. */
function ready<News extends { type: string }>(
  child: ChildProcess,
  hear: (news: News) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error('a process of the cloud does not get ready (cloud.log says more)'));
    }, READY_WITHIN_MS);
    child.on('message', (news: News) => {
      if (news.type === 'ready') {
        clearTimeout(late);
        resolve();
      }
      hear(news);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(late);
      reject(
        new Error(`a process of the cloud ended with ${signal ?? `exit code ${code}`} (cloud.log says more)`),
      );
    });
  });
}

/** SIGTERM, and SIGKILL when that does not help. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  child.kill('SIGTERM');
  await gone;
  clearTimeout(timer);
}
