import { setTimeout as delay } from 'node:timers/promises';
import type { Queue } from 'bullmq';
import { type Analyzer, startAnalyzer } from '../../analyzer/main.ts';
import type { Bus } from '../../common/bus.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { openQueue, type QueueName } from '../../common/queues.ts';
import type { Settings } from '../../common/settings.ts';
import { bulkCredentialsSubject, SUBJECTS } from '../../common/subjects.ts';
import { ManualClock, type TestContext, testContext } from '../../common/testing/context.ts';
import { type FakeApp, FakeCc } from '../../common/testing/fake-cc.ts';
import { startNats, type TestNats } from '../../common/testing/nats.ts';
import { startTestRedis, type TestRedis } from '../../common/testing/redis.ts';
import { type Ingest, startIngest } from '../../ingest/main.ts';
import { type Sync, startSync } from '../../ingest/sync/main.ts';
import { startNudger } from '../../nudger/main.ts';
import { Dea } from './dea.ts';

/** A `health.start` or `health.stop` as it was seen on NATS. */
export interface Sent {
  kind: 'start' | 'stop';
  droplet: string;
  /** Of a start. */
  index: number | undefined;
  /** Of a stop. */
  instance: string | undefined;
  /** Header `hm-reason`. */
  reason: string;
  /** Seconds since the world began. */
  at: number;
  message: Record<string, unknown>;
}

export interface WorldOptions {
  policy?: Partial<PolicySettings>;
  settings?: Partial<Omit<Settings, 'policy'>>;
  /** How many of each process. */
  copies?: number;
  /** The cloud does what it is asked: runs what is to start, ends what is to stop. */
  obedient?: boolean;
}

/** DEAs of the contract's time send a heartbeat so often. */
const HEARTBEAT_MS = 10_000;
/** The clock moves in steps of this: the longest gap in listening is a third of droplet_lost. */
const STEP_MS = 5_000;

/** Few, so that looking whether the world is at rest is quick. */
const SLICES = 16;

/**
 * A whole health manager in one test: the real processes' code on a real Redis and a real NATS, a fake
 * controller, DEAs that the test commands, and one clock that only the test moves.
 */
export class World {
  readonly clock = new ManualClock();
  readonly sent: Sent[] = [];
  readonly deas = new Map<string, Dea>();
  /** Of the processes that run: what they logged, their metrics. */
  readonly contexts: TestContext[] = [];
  redis!: TestRedis;
  nats!: TestNats;
  cc!: FakeCc;
  bus!: Bus;
  #observer!: TestContext;
  readonly #options: WorldOptions;
  readonly #startedMs = this.clock.now();
  readonly #ingests: Ingest[] = [];
  readonly #analyzers: Analyzer[] = [];
  readonly #syncs: Sync[] = [];
  readonly #queues: Queue[] = [];
  #guids = 0;

  private constructor(options: WorldOptions) {
    this.#options = options;
  }

  static async start(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    [world.redis, world.nats, world.cc] = await Promise.all([startTestRedis(), startNats(), FakeCc.start()]);
    const observer = await world.#context();
    world.contexts.pop();
    world.#observer = observer;
    world.bus = await observer.connectBus();
    world.bus.subscribe(bulkCredentialsSubject('default'), {}, (m) => m.respond(world.cc.credentials()));
    world.bus.subscribe(SUBJECTS.start, {}, (m) =>
      world.#see('start', m.json(), m.headers?.get('hm-reason')),
    );
    world.bus.subscribe(SUBJECTS.stop, {}, (m) => world.#see('stop', m.json(), m.headers?.get('hm-reason')));
    for (const name of ['starts', 'restarts', 'stops', 'slices', 'sync'] satisfies QueueName[]) {
      world.#queues.push(openQueue(observer.redis, observer.lifecycle, observer.log, name));
    }
    for (let copy = 0; copy < (options.copies ?? 1); copy++) await world.startProcesses();
    return world;
  }

  /** One more of each process. */
  async startProcesses(): Promise<TestContext[]> {
    const contexts = await Promise.all([this.#context(), this.#context(), this.#context(), this.#context()]);
    this.#ingests.push(await startIngest(contexts[0]));
    this.#analyzers.push(await startAnalyzer(contexts[1]));
    await startNudger(contexts[2]);
    this.#syncs.push(await startSync(contexts[3], { firstDelayMs: 10, pageTimeoutMs: 2000 }));
    return contexts;
  }

  async #context(): Promise<TestContext> {
    const { policy, settings } = this.#options;
    const context = await testContext({
      redis: this.redis,
      nats: this.nats,
      clock: this.clock,
      settings: {
        startsPerPeriod: 1_000_000,
        slices: SLICES,
        bulkApi: { host: this.cc.host, batchSize: 10 },
        ...settings,
        ...(policy === undefined ? {} : { policy }),
      },
    });
    this.contexts.push(context);
    return context;
  }

  /** Ends the processes that are running; the servers stay. */
  async stopProcesses(): Promise<void> {
    this.#ingests.length = this.#analyzers.length = this.#syncs.length = 0;
    await Promise.all(this.contexts.splice(0).map((context) => context.lifecycle.stop()));
  }

  async stop(): Promise<void> {
    await this.stopProcesses();
    await this.#observer.lifecycle.stop();
    await Promise.all([this.redis.stop(), this.nats.stop(), this.cc.stop()]);
  }

  /** The controller wants this app so; it says `droplet.updated` unless `quietly`. */
  async desire(droplet: string, app: FakeApp, { quietly = false } = {}): Promise<void> {
    this.cc.put(droplet, app);
    if (!quietly) await this.updated(droplet);
  }

  /** The controller says `droplet.updated`. */
  async updated(droplet: string): Promise<void> {
    this.bus.publish(SUBJECTS.updated, JSON.stringify({ droplet, cc_partition: 'default' }));
    await this.settle();
  }

  /** A DEA, heard from now on. */
  dea(name: string): Dea {
    let dea = this.deas.get(name);
    if (dea === undefined) {
      dea = new Dea(name, this.bus, () => ({ nowS: this.clock.now() / 1000, guid: `i${++this.#guids}` }));
      this.deas.set(name, dea);
    }
    return dea;
  }

  /** Every DEA that is not silent says what it runs. */
  async beat(): Promise<void> {
    this.clock.advance(1);
    for (const dea of this.deas.values()) dea.beat();
    await this.settle();
  }

  /** Time passes: heartbeats every ten seconds, syncs when they are due, ticks. */
  async advance(seconds: number): Promise<void> {
    const untilMs = this.clock.now() + seconds * 1000;
    while (this.clock.now() < untilMs) {
      this.clock.advance(Math.min(STEP_MS, untilMs - this.clock.now()));
      const sinceStart = this.clock.now() - this.#startedMs;
      if (sinceStart % HEARTBEAT_MS < STEP_MS) for (const dea of this.deas.values()) dea.beat();
      await this.#turn();
    }
  }

  /** Until nothing is left that could happen without the clock's moving. */
  async settle(): Promise<void> {
    for (;;) {
      await this.#atRest();
      if ((await this.#due()) === 0) break;
      await Promise.all(this.#analyzers.map((analyzer) => analyzer.tick()));
    }
    await this.bus.flush();
  }

  /** What was asked since the last call. */
  takeSent(): Sent[] {
    return this.sent.splice(0);
  }

  /** In short, e.g. `start web/2 (missing)`, `stop i7 of web (extra_index)`; since the last call, sorted. */
  takeAsked(): string[] {
    return this.takeSent()
      .map((s) =>
        s.kind === 'start'
          ? `start ${s.droplet}/${s.index} (${s.reason})`
          : `stop ${s.instance} of ${s.droplet} (${s.reason})`,
      )
      .sort();
  }

  async #turn(): Promise<void> {
    await this.bus.flush();
    await Promise.all(this.#ingests.map((ingest) => ingest.listening.say()));
    await Promise.all(this.#syncs.map((sync) => sync.check()));
    await Promise.all(this.#analyzers.map((analyzer) => analyzer.tick()));
    await this.settle();
  }

  async #atRest(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      await this.bus.flush();
      for (const ingest of this.#ingests) await ingest.idle();
      quiet = (await this.#busy()) ? 0 : quiet + 1;
      if (quiet === 0) await delay(2);
    }
  }

  async #busy(): Promise<boolean> {
    if (this.#analyzers.length === 0) return false;
    const { client, keys } = this.#observer.redis;
    const counts = await Promise.all(
      this.#queues.map((queue) => queue.getJobCounts('active', 'waiting', 'prioritized')),
    );
    if (counts.some((count) => Object.values(count).some((jobs) => jobs > 0))) return true;
    const groups = await Promise.all(
      keys.eventStreams.map(
        (stream) => client.call('XINFO', 'GROUPS', stream).catch(() => []) as Promise<unknown[][]>,
      ),
    );
    return groups.flat().some((group) => {
      const field = (name: string) => group[group.indexOf(name) + 1];
      return field('pending') !== 0 || (field('lag') ?? 0) !== 0;
    });
  }

  async #due(): Promise<number> {
    if (this.#analyzers.length === 0) return 0;
    const { client, keys } = this.#observer.redis;
    const counts = await Promise.all(
      Array.from({ length: keys.slices }, (_, slice) =>
        client.zcount(keys.due(slice), '-inf', this.clock.now()),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  #see(kind: 'start' | 'stop', message: Record<string, unknown>, reason = ''): void {
    const { droplet } = message as { droplet: string };
    const index = (message.indices as number[] | undefined)?.[0];
    const instance = Object.keys((message.instances as object | undefined) ?? {})[0];
    this.sent.push({
      kind,
      droplet,
      index,
      instance,
      reason,
      at: (this.clock.now() - this.#startedMs) / 1000,
      message,
    });
    if (!this.#options.obedient) return;
    if (kind === 'stop') for (const dea of this.deas.values()) dea.end(instance as string, 'STOPPED');
    else this.#leastLoaded()?.run(droplet, index as number, message.version as string);
  }

  #leastLoaded(): Dea | undefined {
    return [...this.deas.values()].filter((dea) => dea.alive).sort((a, b) => a.size - b.size)[0];
  }
}
