/** A cloud with the apps of row BIG: its DEAs and its controller carry out every request at once. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type NatsConnection } from 'nats';
import { bulkCredentialsSubject, SUBJECTS } from '../../../../../common/messages/subjects.ts';
import type { SimulatedController } from '../../../sim/controller.ts';
import { PARTITION, SimulatedDea, type SimulatedInstance, type SimulatedSlot } from '../../../sim/dea.ts';
import { until } from '../../stage/load-fleet.ts';
import type { Stage } from '../../stage/stage.ts';

export const DEAS = 4;
const HEARTBEAT_MS = 1_000;
/** The DEA that an app loses. */
const LOST_DEA = 3;
/** Until the cost of heartbeats and ticks is known. */
const IDLE_MS = 10_000;
/** The effects of the last message, up to the next reconcile, belong to its cost. */
const SETTLE_MS = 2_000;
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger', 'redis'];

/** The cost of all stops, or all starts. */
interface Cost {
  requests: number;
  /** From the first to the last. */
  seconds: number;
  /** Without what heartbeats and ticks cost in as long a time. */
  cpuS: number;
  nudgerS: number;
  /** What was left out for that. On a busy machine it varies by more than little work costs. */
  idleS: number;
}

export const EVENTS = ['stop', 'start', 'lost instance'] as const;

export type Round = Record<(typeof EVENTS)[number], Cost> & { wrong: string[] };

class Dea extends SimulatedDea<SimulatedInstance> {
  protected override newInstance(instance: SimulatedInstance): SimulatedInstance {
    return instance;
  }
}

/** DEAs and a controller that carry out every request at once. */
export class AppCloud {
  readonly #stage: Stage;
  readonly #controller: SimulatedController;
  readonly #nats: NatsConnection;
  readonly #deas: Dea[];
  readonly #instances = new Map<string, { dea: Dea; instance: SimulatedInstance }>();
  readonly #timer: NodeJS.Timeout;
  #guids = 0;
  /** When each start or stop came, by what it names. */
  #received = new Map<string, number>();
  #repeated = 0;

  static async connect(stage: Stage, controller: SimulatedController): Promise<AppCloud> {
    const nats = await connect({ servers: stage.settings.mbus.servers, name: 'bench-big-app' });
    return new AppCloud(stage, controller, nats);
  }

  private constructor(stage: Stage, controller: SimulatedController, nats: NatsConnection) {
    this.#stage = stage;
    this.#controller = controller;
    this.#nats = nats;
    this.#deas = Array.from(
      { length: DEAS },
      (_, n) =>
        new Dea({
          id: `dea-${n}`,
          publish: (subject, payload) => {
            nats.publish(subject, payload);
            return true;
          },
          newGuid: () => `guid-${++this.#guids}`,
          nowS: () => Date.now() / 1000,
        }),
    );
    this.#timer = setInterval(() => {
      for (const dea of this.#deas) dea.sendHeartbeat();
    }, HEARTBEAT_MS);
    nats.subscribe(bulkCredentialsSubject(PARTITION), {
      callback: (_error, message) => message.respond(controller.credentials()),
    });
    nats.subscribe(SUBJECTS.start, {
      callback: (_error, message) => {
        const { droplet, version, indices } = message.json<{
          droplet: string;
          version: string;
          indices: number[];
        }>();
        this.#count(`${droplet} ${indices.join()}`);
        for (const index of indices) this.#launch({ droplet, version, index });
      },
    });
    nats.subscribe(SUBJECTS.stop, {
      callback: (_error, message) => {
        const { instances } = message.json<{ instances: Record<string, string> }>();
        for (const guid of Object.keys(instances)) {
          this.#count(guid);
          this.#end(guid);
        }
      },
    });
  }

  /** The apps run, are all stopped, and started again; in the end the controller deletes them. */
  async stopAndStart(apps: readonly string[], instances: number): Promise<Round> {
    const wrong: string[] = [];
    const idle = { cores: 0, nudgerCores: 0 };
    const measureIdle = async () => {
      const meter = this.#stage.meter(...PROCESSES);
      await delay(IDLE_MS);
      const { total, of, seconds } = meter.read();
      Object.assign(idle, { cores: total / seconds, nudgerCores: (of.get('nudger') ?? 0) / seconds });
    };
    const measured = async (what: string, change: () => Promise<number>): Promise<Cost> => {
      this.#received = new Map();
      this.#repeated = 0;
      const meter = this.#stage.meter(...PROCESSES);
      const expected = await change();
      await until(`${expected} ${what}s`, 60, async () => this.#received.size >= expected);
      await delay(SETTLE_MS);
      const { total, of, seconds: elapsedS } = meter.read();
      if (this.#received.size !== expected || this.#repeated > 0)
        wrong.push(
          `${what}s: expected ${expected}, found ${this.#received.size}, ${this.#repeated} repeated`,
        );
      const times = [...this.#received.values()];
      const seconds = (Math.max(...times) - Math.min(...times)) / 1000;
      const idleS = idle.cores * elapsedS;
      return {
        ...{ requests: expected, seconds, idleS },
        cpuS: total - idleS,
        nudgerS: (of.get('nudger') ?? 0) - idle.nudgerCores * elapsedS,
      };
    };
    const all = apps.length * instances;
    for (const app of apps) {
      for (let index = 0; index < instances; index++)
        this.#launch({ droplet: app, version: `${app}-v1`, index });
    }
    await this.#change(apps, (app) => this.#controller.put(app, { instances }));
    await delay(2 * HEARTBEAT_MS + SETTLE_MS);
    await measureIdle();
    const stopAll = async () => {
      await this.#change(apps, (app) => this.#controller.put(app, { instances, state: 'STOPPED' }));
      return all;
    };
    const stop = await measured('stop', stopAll);
    const start = await measured('start', async () => {
      await this.#change(apps, (app) => this.#controller.put(app, { instances }));
      return all;
    });
    await delay(2 * HEARTBEAT_MS);
    await measureIdle();
    const lost = await measured('start of lost instance', async () => this.#loseDea());
    this.#returnDea();
    await measured('stop', stopAll);
    return { stop, start, 'lost instance': lost, wrong };
  }

  /** @returns how many instances it ran */
  #loseDea(): number {
    const dea = this.#deas[LOST_DEA] as Dea;
    dea.connected = false;
    return dea.listed.size;
  }

  /** The DEA is back, without its instances. */
  #returnDea(): void {
    const dea = this.#deas[LOST_DEA] as Dea;
    for (const instance of [...dea.listed.values()]) {
      this.#instances.delete(instance.guid);
      dea.unlist(instance);
    }
    dea.connected = true;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#nats.close();
  }

  async #change(apps: readonly string[], change: (app: string) => void): Promise<void> {
    for (const app of apps) change(app);
    for (const droplet of apps)
      this.#nats.publish(SUBJECTS.updated, JSON.stringify({ droplet, cc_partition: PARTITION }));
    await this.#nats.flush();
  }

  #launch(slot: SimulatedSlot): void {
    const free = this.#deas.filter(({ connected }) => connected);
    const dea = free[this.#guids % free.length] as Dea;
    const instance = dea.launch(slot);
    this.#instances.set(instance.guid, { dea, instance });
  }

  #end(guid: string): void {
    const found = this.#instances.get(guid);
    if (found === undefined) return;
    this.#instances.delete(guid);
    found.dea.unlist(found.instance);
    found.dea.sendExited(found.instance, 'STOPPED');
  }

  #count(what: string): void {
    if (this.#received.has(what)) this.#repeated++;
    else this.#received.set(what, performance.now());
  }
}
