/** All checks of messages on NATS, by subject. Pure: messages and times in, findings out. */
import { SUBJECTS, type Subject } from '../../../common/messages/subjects.ts';
import { decode, isRecord } from '../../../common/messages/validation.ts';
import { AgentChecks, type AgentCounts } from './agents/agent-checks.ts';
import { Endings } from './agents/endings.ts';
import { checkRequest, checkUpdated, REQUESTS } from './controller/requests.ts';
import type { Findings, Report } from './findings.ts';

export interface BusOptions {
  partition: string;
  dropletLostMs: number;
  /** The largest message of the NATS server (bytes). */
  maxPayload: number;
  findings: Findings;
  /** This machine's clock (epoch seconds), for times in messages. */
  nowS(): number;
}

export interface BusMessage {
  data: Uint8Array;
  reply?: string | undefined;
  /** When it was received, on a clock that only goes forward (ms). */
  atMs: number;
}

export interface BusCounts extends AgentCounts {
  updates: number;
  requests: number;
}

/** A message larger than this share of `max_payload` grows out of it with the next instances. */
const LARGE_SHARE = 0.5;

export class BusChecks {
  /** Droplets that `droplet.updated` named. */
  readonly updated = new Set<string>();
  readonly #options: BusOptions;
  readonly #agents: AgentChecks;
  readonly #endings = new Endings();
  readonly #agentReport: Report;
  readonly #controllerReport: Report;
  readonly #handlers: ReadonlyMap<string, (message: BusMessage) => void>;
  readonly #counts = { updates: 0, requests: 0 };

  constructor(options: BusOptions) {
    this.#options = options;
    this.#agentReport = options.findings.of('agent');
    this.#controllerReport = options.findings.of('controller');
    this.#agents = new AgentChecks({ ...options, report: this.#agentReport, endings: this.#endings });
    const agents = this.#agents;
    this.#handlers = new Map<Subject, (message: BusMessage) => void>([
      [SUBJECTS.heartbeat, ({ data, atMs }) => agents.heartbeat(data, atMs)],
      [SUBJECTS.exited, ({ data }) => agents.exited(data)],
      [SUBJECTS.shutdown, ({ data }) => agents.shutdown(data)],
      [SUBJECTS.healthmanagerStart, ({ atMs }) => agents.asked(atMs)],
      [SUBJECTS.updated, ({ data }) => this.#update(data)],
      [SUBJECTS.stop, ({ data }) => this.#stop(data)],
      [SUBJECTS.hm9000Stop, ({ data }) => this.#stop(data)],
      ...REQUESTS.map(
        (name) => [SUBJECTS[name], (message: BusMessage) => this.#request(name, message)] as const,
      ),
    ]);
  }

  /** What is listened to. */
  get subjects(): readonly string[] {
    return [...this.#handlers.keys()];
  }

  get counts(): BusCounts {
    return { ...this.#agents.counts, ...this.#counts };
  }

  take(subject: string, message: BusMessage): void {
    const { maxPayload } = this.#options;
    if (message.data.length > LARGE_SHARE * maxPayload) {
      const report = subject === SUBJECTS.heartbeat ? this.#agentReport : this.#controllerReport;
      const size = `more than half of max_payload (${maxPayload} bytes)`;
      report(subject, 'large_message', size, `${message.data.length} bytes`);
    }
    this.#handlers.get(subject)?.(message);
  }

  /** The connection was lost, and messages with it. */
  interrupt(): void {
    this.#agents.interrupt();
  }

  finish(atMs: number): void {
    this.#agents.finish(atMs);
  }

  #update(data: Uint8Array): void {
    this.#counts.updates++;
    const droplet = checkUpdated(data, this.#options.partition, this.#controllerReport);
    if (droplet === undefined) return;
    this.updated.add(droplet);
    this.#endings.updated(droplet);
  }

  #request(name: (typeof REQUESTS)[number], { data, reply }: BusMessage): void {
    this.#counts.requests++;
    checkRequest(name, data, reply, this.#controllerReport);
  }

  /** Of the health manager: the instances that it asks to stop. */
  #stop(data: Uint8Array): void {
    const decoded = decode(data);
    if ('reject' in decoded) return;
    const { instances, instance_guid: guid } = decoded.ok;
    if (isRecord(instances)) for (const instance of Object.keys(instances)) this.#endings.stopped(instance);
    if (typeof guid === 'string') this.#endings.stopped(guid);
  }
}
