import { setTimeout as delay } from 'node:timers/promises';
import { connect, type NatsConnection } from 'nats';
import { bulkCredentialsSubject, SUBJECTS } from '../../../../../common/messages/subjects.ts';
import { SimulatedController } from '../../../sim/controller.ts';
import { PARTITION, SimulatedDea, type SimulatedInstance, type SimulatedSlot } from '../../../sim/dea.ts';
import { memoryMbOf } from '../../measure/usage.ts';
import type { Context, RowGroup, RowResult } from '../../results/row.ts';
import { lastPass, until } from '../../stage/load-fleet.ts';
import { type Stage, startStage } from '../../stage/stage.ts';
import { UNLIMITED } from '../unlimited.ts';

const INSTANCES = { full: 400, quick: 60 };
const DEAS = 4;
const HEARTBEAT_MS = 1_000;
/** Missing instances are started this long after they were stopped. */
const DROPLET_LOST_S = 5;
/** The effects of the last message, up to the next reconcile, belong to its cost. */
const SETTLE_MS = 2_000;
/** What each start and stop may cost, compared with one of an app of its own. */
const MAX_RATIO = 1.5;
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger', 'redis'];

/** One app with many instances, stopped and started, beside as many apps with one instance each. */
export const bigApp: RowGroup = {
  rows: ['BIG'],
  async run({ scale, signal, profile, cluster, progress }: Context) {
    const count = scale < 1 ? INSTANCES.quick : INSTANCES.full;
    const controller = await SimulatedController.start();
    const config = {
      bulk_api: { host: controller.host },
      intervals: { droplet_lost: DROPLET_LOST_S, ...UNLIMITED.intervals },
    };
    const stage = await startStage({ droplets: 0, config, profile, cluster }, signal);
    const cloud = await Cloud.connect(stage, controller);
    try {
      for (const name of ['ingest', 'sync', 'analyzer', 'nudger'] as const) await stage.start(name);
      await until('a complete pass', 60, async () => (await lastPass(stage)) !== undefined);
      const single = Array.from({ length: count }, (_, n) => `single-${n}`);
      // The first round is not measured: new processes compile their code.
      progress(`${count} apps of one instance, to warm up`);
      await cloud.stopAndStart(single, 1);
      progress(`${count} apps of one instance`);
      const many = await cloud.stopAndStart(single, 1);
      progress(`one app of ${count} instances`);
      const one = await cloud.stopAndStart(['big'], count);
      const result = resultOf(count, one, many);
      const nudger = memoryMbOf(stage.pids().get('nudger') as number);
      result.figures.push({ what: 'peak memory of nudger', value: nudger.peakMb, unit: 'MB' });
      return new Map<string, RowResult>([['BIG', result]]);
    } finally {
      await cloud.close();
      await stage.close();
      await controller.stop();
    }
  },
};

function resultOf(count: number, one: Round, many: Round): RowResult {
  const figures = (['stop', 'start'] as const).flatMap((of) => [
    { what: `all ${of}s sent within`, value: one[of].seconds, unit: 's' },
    { what: `of ${count} apps`, value: many[of].seconds, unit: 's' },
    { what: `CPU a ${of}`, value: (1000 * one[of].cpuS) / count, unit: 'ms' },
    {
      what: `CPU a ${of}, of ${count} apps = 1`,
      value: one[of].cpuS / many[of].cpuS,
      unit: '',
      max: MAX_RATIO,
      ratio: true as const,
    },
    {
      what: `CPU a ${of} of the nudger, of ${count} apps = 1`,
      value: one[of].nudgerS / many[of].nudgerS,
      unit: '',
      max: MAX_RATIO,
    },
  ]);
  return {
    run: `one app of ${count} instances stopped and started, beside ${count} apps of one`,
    figures,
    wrong: [...one.wrong, ...many.wrong],
  };
}

/** The cost of all stops or all starts. */
interface Cost {
  /** From the first to the last. */
  seconds: number;
  cpuS: number;
  nudgerS: number;
}

interface Round {
  stop: Cost;
  start: Cost;
  wrong: string[];
}

class Dea extends SimulatedDea<SimulatedInstance> {
  protected override newInstance(instance: SimulatedInstance): SimulatedInstance {
    return instance;
  }
}

/** DEAs and a controller that carry out every request at once. */
class Cloud {
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

  static async connect(stage: Stage, controller: SimulatedController): Promise<Cloud> {
    const nats = await connect({ servers: stage.settings.mbus.servers, name: 'bench-big-app' });
    return new Cloud(stage, controller, nats);
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
    const measured = async (what: string, change: () => Promise<void>) => {
      this.#received = new Map();
      this.#repeated = 0;
      const expected = apps.length * instances;
      const meter = this.#stage.meter(...PROCESSES);
      await change();
      await until(`${expected} ${what}s`, 60, async () => this.#received.size >= expected);
      await delay(SETTLE_MS);
      const { total, of } = meter.read();
      if (this.#received.size !== expected || this.#repeated > 0)
        wrong.push(
          `${what}s: expected ${expected}, found ${this.#received.size}, ${this.#repeated} repeated`,
        );
      const times = [...this.#received.values()];
      const seconds = (Math.max(...times) - Math.min(...times)) / 1000;
      return { seconds, cpuS: total, nudgerS: of.get('nudger') ?? 0 };
    };
    for (const app of apps) {
      for (let index = 0; index < instances; index++)
        this.#launch({ droplet: app, version: `${app}-v1`, index });
    }
    await this.#change(apps, (app) => this.#controller.put(app, { instances }));
    await delay(2 * HEARTBEAT_MS + SETTLE_MS);
    const stop = await measured('stop', () =>
      this.#change(apps, (app) => this.#controller.put(app, { instances, state: 'STOPPED' })),
    );
    const start = await measured('start', () =>
      this.#change(apps, (app) => this.#controller.put(app, { instances })),
    );
    await measured('stop', () =>
      this.#change(apps, (app) => this.#controller.put(app, { instances, state: 'STOPPED' })),
    );
    return { stop, start, wrong };
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
    const dea = this.#deas[this.#guids % DEAS] as Dea;
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
