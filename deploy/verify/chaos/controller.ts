import type { NatsConnection } from 'nats';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { StartRequest, StopRequest } from '../../demo/controller/admission.ts';
import type { App } from '../../demo/controller/apps.ts';
import { type BulkApi, type Listed, newCredentials, serveBulkApi } from '../../demo/controller/bulk-api.ts';
import type { Hosts, TrueInstance } from './hosts.ts';
import type { Random } from './random.ts';

/** An app as the controller has it. */
export interface Wish extends Listed {
  /** When it was last changed (ms on this process's monotonic clock). */
  changedMs: number;
  /** Deleted then. */
  goneMs?: number;
}

interface Options {
  nats: NatsConnection;
  connected(): boolean;
  random: Random;
  hosts: Hosts;
}

/** From a request to a host's doing it. */
const TAKES_MS: readonly [number, number] = [20, 200];

/**
 * The simulated controller: it lists its apps, says when it changes one, and does what it is asked for after the
 * checks that a real one makes. Healing is not its work.
 */
export class Controller {
  /** While it is down it neither hears nor lists. */
  down = false;
  /** How often it has said that an app was changed. */
  said = 0;
  readonly #options: Options;
  readonly #apps = new Map<string, Wish>();
  readonly #api: BulkApi;
  #lastId = 0;

  private constructor(options: Options, api: BulkApi, apps: Map<string, Wish>) {
    this.#options = options;
    this.#api = api;
    this.#apps = apps;
  }

  static async start(options: Options): Promise<Controller> {
    const apps = new Map<string, Wish>();
    const credentials = newCredentials();
    const listed = function* (): Generator<Listed> {
      for (const app of apps.values()) if (app.goneMs === undefined) yield app;
    };
    const api = await serveBulkApi({ credentials, apps: listed });
    const controller = new Controller(options, api, apps);
    options.nats.subscribe(bulkCredentialsSubject('default'), {
      callback: (_error, message) => {
        if (!controller.down) message.respond(JSON.stringify(credentials));
      },
    });
    return controller;
  }

  get port(): number {
    return this.#api.port;
  }

  /** Deleted ones included. */
  wish(droplet: string): Wish | undefined {
    return this.#apps.get(droplet);
  }

  app(droplet: string): App | undefined {
    const wish = this.#apps.get(droplet);
    return wish?.goneMs === undefined ? wish?.app : undefined;
  }

  /** Apps that are not deleted. */
  apps(): App[] {
    return [...this.#apps.values()].filter(({ goneMs }) => goneMs === undefined).map(({ app }) => app);
  }

  /** A new app, or another wish for one; said at once, as a controller does. */
  put(name: string, change: Partial<Omit<App, 'name'>>): void {
    const { random } = this.#options;
    const before = this.#apps.get(name);
    const usual = {
      name,
      command: '',
      instances: 1,
      state: 'STARTED',
      version: random.guid(),
      memoryMb: 64,
    } as const;
    const app: App = { ...usual, ...before?.app, ...change };
    const id = before?.id ?? ++this.#lastId;
    this.#apps.set(name, { app, id, updatedAt: new Date(), changedMs: performance.now() });
    this.#say(name);
  }

  delete(name: string): void {
    const wish = this.#apps.get(name);
    if (wish === undefined) return;
    wish.goneMs = performance.now();
    wish.changedMs = wish.goneMs;
    this.#say(name);
  }

  /** Does what an accepted start asks for. */
  accept({ droplet, version, indices }: StartRequest): void {
    const { hosts, random } = this.#options;
    hosts.later(random.between(...TAKES_MS), () => {
      const free = hosts.free();
      if (free.length === 0) return;
      const [one, other] = [random.pick(free), random.pick(free)];
      const host = one.instances.size <= other.instances.size ? one : other;
      for (const index of indices) hosts.run(host, droplet, version, index);
    });
  }

  /** Does what an accepted stop asks for. */
  acceptStop({ droplet, instances }: StopRequest): void {
    const { hosts, random } = this.#options;
    const there = hosts.of(droplet).filter(({ guid }) => guid in instances);
    for (const instance of there) {
      instance.stopMs = performance.now();
      if (instance.host.cutSinceMs !== undefined) continue; // its host does not hear of it
      hosts.later(random.between(...TAKES_MS), () => this.#stop(instance));
    }
  }

  async close(): Promise<void> {
    await this.#api.close();
  }

  #stop(instance: TrueInstance): void {
    if (instance.host.cutSinceMs === undefined) this.#options.hosts.end(instance, 'STOPPED');
  }

  #say(droplet: string): void {
    if (this.down || !this.#options.connected()) return;
    this.said++;
    this.#options.nats.publish(SUBJECTS.updated, JSON.stringify({ droplet, cc_partition: 'default' }));
  }
}
