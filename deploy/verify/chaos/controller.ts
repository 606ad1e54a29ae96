import { crc32 } from 'node:zlib';
import type { NatsConnection } from 'nats';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { StartRequest, StopRequest } from '../../demo/controller/admission.ts';
import type { App } from '../../demo/controller/apps.ts';
import type { BulkApiFaults } from '../sim/bulk-api.ts';
import { SimulatedController } from '../sim/controller.ts';
import { PARTITION } from '../sim/dea.ts';
import type { Deas, TrueInstance } from './deas.ts';
import type { Random } from './random.ts';

/** An app as the controller wants it. */
export interface DesiredApp {
  app: App;
  /** When it was last changed (ms on this process's monotonic clock). */
  changedMs: number;
  /** The change was not announced by `droplet.updated`, so only the next pass tells of it. */
  isUnannounced?: boolean;
  /** When it was deleted. */
  deletedMs?: number;
}

interface Options {
  nats: NatsConnection;
  connected(): boolean;
  random: Random;
  deas: Deas;
}

/** From a request until a DEA carries it out. */
const EXECUTION_MS: readonly [number, number] = [20, 200];

/**
 * The controller of the chaos cloud: it lists its apps, sends `droplet.updated` when one changes, and carries out the
 * requests that it accepts. It never starts or stops an instance on its own.
 */
export class ChaosController {
  /** While true, it neither answers nor lists apps. */
  down = false;
  updatesSent = 0;
  /** No DEA has room for the slots of these tenths: a start is accepted, and nothing comes of it. */
  readonly fullTenths = new Set<number>();
  readonly #options: Options;
  readonly #apps = new Map<string, DesiredApp>();
  readonly #bulk: SimulatedController;

  private constructor(options: Options, bulk: SimulatedController) {
    this.#options = options;
    this.#bulk = bulk;
  }

  static async start(options: Options): Promise<ChaosController> {
    const bulk = await SimulatedController.start();
    const controller = new ChaosController(options, bulk);
    options.nats.subscribe(bulkCredentialsSubject(PARTITION), {
      callback: (_error, message) => {
        if (!controller.down) message.respond(bulk.credentials());
      },
    });
    return controller;
  }

  get port(): number {
    return this.#bulk.port;
  }

  /** Faults of the bulk API. */
  get bulkApiFaults(): BulkApiFaults {
    return this.#bulk.faults;
  }

  /** The app with its times, also after it was deleted. */
  desired(droplet: string): DesiredApp | undefined {
    return this.#apps.get(droplet);
  }

  app(droplet: string): App | undefined {
    const desired = this.#apps.get(droplet);
    return desired?.deletedMs === undefined ? desired?.app : undefined;
  }

  /** The apps that are not deleted. */
  apps(): App[] {
    return [...this.#apps.values()].filter(({ deletedMs }) => deletedMs === undefined).map(({ app }) => app);
  }

  /** Adds or changes an app, and sends `droplet.updated` at once, as a controller does. */
  put(name: string, change: Partial<Omit<App, 'name'>>, { isAnnounced = true } = {}): void {
    const defaults = {
      name,
      command: '',
      instances: 1,
      state: 'STARTED',
      version: this.#options.random.guid(),
      memoryMb: 64,
    } as const;
    const app: App = { ...defaults, ...this.#apps.get(name)?.app, ...change };
    const { instances, state, version, memoryMb: memory } = app;
    const updated_at = new Date().toISOString().replace(/\.\d+Z$/, '+00:00');
    this.#apps.set(name, { app, changedMs: performance.now(), isUnannounced: !isAnnounced });
    this.#bulk.put(name, { instances, state, version, memory, updated_at });
    if (isAnnounced) this.#announce(name);
  }

  /** The app gets a new version without `droplet.updated`, as when a route is mapped; its DEAs rename the instances. */
  mapRoute(name: string): void {
    const version = this.#options.random.guid();
    this.put(name, { version }, { isAnnounced: false });
    const { deas, random } = this.#options;
    for (const instance of deas.instancesOf(name)) {
      if (!instance.dea.connected) continue;
      deas.later(random.between(...EXECUTION_MS), () => deas.rename(instance, version));
    }
  }

  delete(name: string): void {
    const desired = this.#apps.get(name);
    if (desired === undefined) return;
    desired.deletedMs = performance.now();
    desired.changedMs = desired.deletedMs;
    desired.isUnannounced = false;
    this.#bulk.delete(name);
    this.#announce(name);
  }

  /** Carries out an accepted start, on the less loaded of two random DEAs. */
  executeStart({ droplet, version, indices }: StartRequest): void {
    const { deas, random } = this.#options;
    deas.later(random.between(...EXECUTION_MS), () => {
      const available = deas.available();
      if (available.length === 0) return;
      const [one, other] = [random.pick(available), random.pick(available)];
      const dea = one.listed.size <= other.listed.size ? one : other;
      for (const index of indices) {
        const tenth = (crc32(droplet) + index) % 10;
        if (!this.fullTenths.has(tenth)) deas.run(dea, droplet, version, index);
      }
    });
  }

  /** Carries out an accepted stop. */
  executeStop({ droplet, instances }: StopRequest): void {
    const { deas, random } = this.#options;
    const named = deas.instancesOf(droplet).filter(({ guid }) => guid in instances);
    for (const instance of named) {
      instance.stopAcceptedMs = performance.now();
      if (!instance.dea.connected) continue; // the stop does not reach the DEA
      deas.later(random.between(...EXECUTION_MS), () => this.#stop(instance));
    }
  }

  async close(): Promise<void> {
    await this.#bulk.stop();
  }

  #stop(instance: TrueInstance): void {
    const { dea } = instance;
    if (dea.connected) this.#options.deas.end(instance, 'STOPPED', { silently: dea.stopsWithoutExit });
  }

  #announce(droplet: string): void {
    if (this.down || !this.#options.connected()) return;
    this.updatesSent++;
    this.#options.nats.publish(SUBJECTS.updated, JSON.stringify({ droplet, cc_partition: PARTITION }));
  }
}
