import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { ExitReason } from '../../../common/model/reasons.ts';
import type { Bus } from '../../../common/nats/bus.ts';
import { type SentMessage, toSentMessage } from '../scenarios/sent.ts';
import type { SimulatedController } from '../sim/controller.ts';
import { PARTITION, SimulatedDea, type SimulatedInstance } from '../sim/dea.ts';

interface LiveInstance extends SimulatedInstance {
  dea: LiveDea;
  /** When the first heartbeat listed it (ms, monotonic). */
  reportedMs?: number;
}

class LiveDea extends SimulatedDea<LiveInstance> {
  protected override newInstance(instance: SimulatedInstance): LiveInstance {
    return { ...instance, dea: this };
  }

  override sendHeartbeat(): boolean {
    const left = super.sendHeartbeat();
    if (left) for (const instance of this.listed.values()) instance.reportedMs ??= performance.now();
    return left;
  }
}

interface App {
  instances: number;
  /** When the controller last changed it (ms, monotonic). */
  changedMs: number;
}

interface Options {
  bus: Bus;
  controller: SimulatedController;
  apps: number;
  deas: number;
  dropletLostMs: number;
}

/** Short, because `droplet_lost` of these tests is short. */
const HEARTBEAT_MS = 1_000;
const CRASH_EVERY_MS = 60;
const CHANGE_EVERY_MS = 400;
/** A message this old has been processed, also if Redis or NATS has just lost a server. */
const PROCESSED_WITHIN_MS = 2_500;

/**
 * A cloud in real time that carries out every valid request. Its load crashes instances and scales apps. It records three
 * violations: a start of a slot whose instance runs and was reported, a second start of a slot while the first is on its
 * way, and a stop of a wanted instance.
 */
export class LiveCloud {
  readonly violations: string[] = [];
  readonly #options: Options;
  readonly #apps = new Map<string, App>();
  readonly #deas: LiveDea[];
  /** The time of the latest start of each slot; an exit at the slot removes it. */
  readonly #starts = new Map<string, number>();
  #heartbeats: NodeJS.Timeout[] = [];
  #load: NodeJS.Timeout[] = [];

  constructor(options: Options) {
    this.#options = options;
    const { bus, controller } = options;
    const publish = (subject: string, payload: string) => {
      if (bus.connected()) bus.publish(subject, payload);
      return bus.connected();
    };
    this.#deas = Array.from(
      { length: options.deas },
      (_, n) => new LiveDea({ id: `dea-${n}`, publish, newGuid: randomUUID, nowS: () => Date.now() / 1000 }),
    );
    bus.subscribe(bulkCredentialsSubject(PARTITION), {}, (message) =>
      message.respond(controller.credentials()),
    );
    bus.subscribe(SUBJECTS.start, {}, (message) => this.#receiveStart(toSentMessage('start', message, 0)));
    bus.subscribe(SUBJECTS.stop, {}, (message) => this.#receiveStop(toSentMessage('stop', message, 0)));
    bus.subscribe(SUBJECTS.healthmanagerStart, {}, () => {
      for (const dea of this.#deas) dea.sendHeartbeat();
    });
    for (let n = 0; n < options.apps; n++) this.#desire(`app-${n}`, 2 + (n % 2));
  }

  /** Starts the heartbeats. */
  start(): void {
    this.#deas.forEach((dea, n) => {
      const first = setTimeout(
        () => this.#heartbeats.push(setInterval(() => dea.sendHeartbeat(), HEARTBEAT_MS)),
        (n * HEARTBEAT_MS) / this.#deas.length,
      );
      this.#heartbeats.push(first);
    });
  }

  /** Starts to crash instances and to scale apps. */
  startLoad(): void {
    this.#load = [
      setInterval(() => this.#crashOne(), CRASH_EVERY_MS),
      setInterval(() => this.#scaleOne(), CHANGE_EVERY_MS),
    ];
  }

  stopLoad(): void {
    for (const timer of this.#load) clearInterval(timer);
  }

  stop(): void {
    this.stopLoad();
    for (const timer of this.#heartbeats) clearInterval(timer);
  }

  /** The apps that do not have exactly one instance at each wanted index, with a description of each. */
  differences(): Map<string, string> {
    const found = new Map<string, string>();
    for (const [app, { instances }] of this.#apps) {
      const indices = this.#instancesOf(app)
        .map(({ index }) => index)
        .sort();
      const wanted = Array.from({ length: instances }, (_, index) => index);
      if (indices.join() !== wanted.join()) found.set(app, `${app}: runs ${indices}, wanted ${wanted}`);
    }
    return found;
  }

  /** @returns whether the cloud had no differences in time */
  async waitUntilHealthy(withinMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + withinMs;
    while (this.differences().size > 0) {
      if (performance.now() > deadlineMs) return false;
      await delay(20);
    }
    return true;
  }

  #desire(app: string, instances: number): void {
    this.#apps.set(app, { instances, changedMs: performance.now() });
    this.#options.controller.put(app, { instances });
    const { bus } = this.#options;
    if (bus.connected())
      bus.publish(SUBJECTS.updated, JSON.stringify({ droplet: app, cc_partition: PARTITION }));
  }

  #scaleOne(): void {
    const app = pick([...this.#apps.keys()]);
    if (app !== undefined) this.#desire(app, 1 + Math.floor(Math.random() * 4));
  }

  #crashOne(): void {
    const instance = pick(this.#deas.flatMap(({ listed }) => [...listed.values()]).filter(isReported));
    if (instance !== undefined && this.#options.bus.connected()) this.#end(instance, 'CRASHED');
  }

  #end(instance: LiveInstance, reason: ExitReason): void {
    instance.dea.unlist(instance);
    this.#starts.delete(slotOf(instance));
    instance.dea.sendExited(instance, reason);
  }

  #receiveStart({ droplet, index = -1, reason, id }: SentMessage): void {
    const nowMs = performance.now();
    const slot = `${droplet}/${index}`;
    const request = `start of ${slot} (${reason}, ${id})`;
    const running = this.#instancesOf(droplet).filter((instance) => instance.index === index);
    if (running.some(isReported)) this.violations.push(`${request}: the instance runs and was reported`);
    const beforeMs = this.#starts.get(slot);
    if (beforeMs !== undefined && nowMs - beforeMs < this.#options.dropletLostMs)
      this.violations.push(`${request}: a start of ${Math.round(nowMs - beforeMs)} ms before is on its way`);
    this.#starts.set(slot, nowMs);
    if (index >= (this.#apps.get(droplet)?.instances ?? 0)) return; // the controller refuses it
    const [leastLoaded] = [...this.#deas].sort((a, b) => a.listed.size - b.listed.size);
    leastLoaded?.launch({ droplet, version: `${droplet}-v1`, index });
  }

  #receiveStop({ droplet, instance: guid, reason, id }: SentMessage): void {
    const instance = this.#instancesOf(droplet).find((one) => one.guid === guid);
    if (instance === undefined) return;
    const { instances, changedMs } = this.#apps.get(droplet) as App;
    const others = this.#instancesOf(droplet).filter(({ index }) => index === instance.index).length - 1;
    if (instance.index < instances && others === 0) {
      // The controller refuses it. It is a violation only if the health manager has read the change of the app.
      if (performance.now() - changedMs > PROCESSED_WITHIN_MS)
        this.violations.push(
          `stop of ${droplet}/${instance.index} (${reason}, ${id}): the instance is wanted`,
        );
      return;
    }
    this.#end(instance, 'STOPPED');
  }

  #instancesOf(app: string): LiveInstance[] {
    return this.#deas
      .flatMap(({ listed }) => [...listed.values()])
      .filter((instance) => instance.droplet === app);
  }
}

const slotOf = ({ droplet, index }: LiveInstance) => `${droplet}/${index}`;

function isReported({ reportedMs }: LiveInstance): boolean {
  return reportedMs !== undefined && performance.now() - reportedMs > PROCESSED_WITHIN_MS;
}

function pick<T>(list: readonly T[]): T | undefined {
  return list[Math.floor(Math.random() * list.length)];
}
