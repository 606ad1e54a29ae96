import type { Queue } from 'bullmq';
import { expect } from 'vitest';
import { type Analyzer, startAnalyzer } from '../../../analyzer/main.ts';
import type { Settings } from '../../../common/config/settings.ts';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { LogEntry } from '../../../common/model/decision-log.ts';
import type { Bus } from '../../../common/nats/bus.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { ProcessContext } from '../../../common/process.ts';
import { openQueue } from '../../../common/queues/queues.ts';
import { type Clock, startClock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connections.ts';
import { ManualClock, type TestContext, testContext } from '../../../common/testing/context.ts';
import { type FakeApp, FakeCc } from '../../../common/testing/fake-cc.ts';
import { startNats, type TestNats } from '../../../common/testing/nats.ts';
import { emptyRedis, type RedisUnderTest } from '../../../common/testing/redis.ts';
import { redisUnderTest } from '../../../common/testing/redis-under-test.ts';
import { type Ingest, startIngest } from '../../../ingest/main.ts';
import { type Sync, startSync } from '../../../ingest/sync/main.ts';
import { startNudger } from '../../../nudger/main.ts';
import { Dea } from './dea.ts';
import { aMoment, Rest } from './quiescence.ts';
import { Referee } from './referee.ts';
import { inShort, type Sent, sentFrom } from './sent.ts';
import { WallClocks } from './wall-clock.ts';

export type ProcessName = 'ingest' | 'sync' | 'analyzer' | 'nudger';
export const ALL_PROCESSES: readonly ProcessName[] = ['ingest', 'analyzer', 'nudger', 'sync'];

/** A process that runs. */
export interface Running {
  name: ProcessName;
  /** What it logs, its metrics. */
  context: TestContext;
  ingest?: Ingest;
  analyzer?: Analyzer;
  sync?: Sync;
}

export interface WorldOptions {
  policy?: Partial<PolicySettings>;
  settings?: Partial<Omit<Settings, 'policy'>>;
  /** Which processes run, and as many copies as they are named times; all, once, if not said. */
  processes?: readonly ProcessName[];
  /** How far the wall clocks of those are ahead (ms). */
  wallClocks?: Partial<Record<ProcessName, number>>;
  /** The cloud does what it is asked: runs what is to start, ends what is to stop. */
  obedient?: boolean;
  /** Time is not moved by the test: the processes go by the true clock, and so do BullMQ's timers. */
  realTime?: boolean;
  /** BullMQ's delayed jobs never leave by themselves. */
  timersFail?: boolean;
  pageTimeoutMs?: number;
}

/** DEAs of the contract's time send a heartbeat so often. */
const HEARTBEAT_MS = 10_000;
/** The clock moves in steps of this: the longest gap in listening is a third of droplet_lost. */
const STEP_MS = 5_000;
/** Few, so that looking whether the world is at rest is quick. */
const SLICES = 4;

/**
 * A whole health manager in one test: the real processes' code on a real Redis and a real NATS, a fake
 * controller, DEAs that the test commands, and one clock that only the test moves. A referee watches every message.
 */
export class Deployment {
  readonly clock = new ManualClock();
  readonly sent: Sent[] = [];
  readonly deas = new Map<string, Dea>();
  readonly running: Running[] = [];
  readonly referee: Referee;
  /** Whether the cron comes; otherwise analyzers only look at what events tell. */
  isTicking = true;
  readonly startedMs = this.clock.nowMs();
  redis!: RedisUnderTest;
  nats!: TestNats;
  cc!: FakeCc;
  bus!: Bus;
  rest!: Rest;
  /** How far the wall clocks of the processes that begin from here on are ahead (ms). */
  wallClocks: Partial<Record<ProcessName, number>>;
  readonly #options: WorldOptions;
  readonly #apps = new Map<string, FakeApp>();
  readonly #wallClocks = new WallClocks();
  #observer!: TestContext;
  #nextBeatMs = this.startedMs + HEARTBEAT_MS;
  #guids = 0;

  private constructor(options: WorldOptions) {
    this.#options = options;
    this.wallClocks = options.wallClocks ?? {};
    this.referee = new Referee({
      nowMs: () => this.nowMs(),
      dropletLostMs: options.policy?.dropletLostMs ?? 30_000,
      deas: { [Symbol.iterator]: () => this.deas.values() },
      app: (droplet) => this.#apps.get(droplet),
    });
  }

  static async start(options: WorldOptions = {}): Promise<Deployment> {
    const world = new Deployment(options);
    [world.redis, world.nats, world.cc] = await Promise.all([redisUnderTest(), startNats(), FakeCc.start()]);
    const observer = await world.#context();
    world.#observer = observer;
    world.bus = await observer.connectBus();
    world.#listen();
    world.rest = new Rest(
      observer.redis,
      world.clock,
      (name): Queue => openQueue(observer.redis, observer.lifecycle, observer.log, name),
    );
    // The nodes of a cluster are new to it: if that were found after an ingestor's first word, it would be taken back.
    await observer.redis.failover?.check();
    world.#wallClocks.install();
    await world.run(...(options.processes ?? ALL_PROCESSES));
    return world;
  }

  /** Redis as an onlooker sees it. */
  get store(): RedisConnections {
    return this.#observer.redis;
  }

  /** Now, for DEAs and the referee (ms). */
  nowMs(): number {
    return this.#options.realTime ? Date.now() : this.clock.nowMs();
  }

  /** One more of each of these processes. */
  async run(...names: ProcessName[]): Promise<Running[]> {
    const all = await Promise.all(names.map((name) => this.#run(name)));
    this.running.push(...all);
    return all;
  }

  /** Ends processes, by name or some of them; all if none is named. The servers stay. */
  async end(...which: (ProcessName | Running)[]): Promise<void> {
    const ends = this.running.filter(
      (process) => which.length === 0 || which.includes(process.name) || which.includes(process),
    );
    for (const process of ends) this.running.splice(this.running.indexOf(process), 1);
    await Promise.all(ends.map(({ context }) => context.lifecycle.stop()));
  }

  /** Every process ends; then as many begin. */
  async restart(): Promise<void> {
    const names = this.running.map(({ name }) => name);
    await this.end();
    await this.run(...names);
  }

  /** Ends everything. @throws if the referee saw anything, unless the test has looked at it (`takeFaults`) */
  async stop(): Promise<void> {
    await this.end();
    await this.#observer.lifecycle.stop();
    this.#wallClocks.restore();
    await Promise.all([this.redis.stop(), this.nats.stop(), this.cc.stop()]);
    expect(this.referee.faults).toEqual([]);
  }

  /** NATS dies with all connections. */
  async loseNats(): Promise<void> {
    await this.nats.kill();
    await this.#until(() => this.#allBuses.every((bus) => !bus.connected()));
  }

  /** NATS is there again, with every client. */
  async regainNats(): Promise<void> {
    this.nats = await startNats({ port: this.nats.port });
    await this.#until(() => this.#allBuses.every((bus) => bus.connected()));
  }

  /** Redis is empty all of a sudden. */
  async loseRedisData(): Promise<void> {
    this.referee.redisLosesItsData();
    this.clock.advance(1);
    await emptyRedis(this.store.client);
  }

  /** The controller wants this app so; it says `droplet.updated` unless `quietly`. */
  async desire(droplet: string, app: FakeApp = {}, { quietly = false } = {}): Promise<void> {
    const usual = { instances: 1, state: 'STARTED', package_state: 'STAGED', version: `${droplet}-v1` };
    const known = this.#apps.get(droplet) ?? usual;
    this.#apps.set(droplet, { ...known, ...app });
    this.cc.put(droplet, { ...known, ...app });
    if (!quietly) await this.updated(droplet);
  }

  /** The controller knows the app no more; it says `droplet.updated` unless `quietly`. */
  async undesire(droplet: string, { quietly = false } = {}): Promise<void> {
    this.#apps.delete(droplet);
    this.cc.delete(droplet);
    if (!quietly) await this.updated(droplet);
  }

  /** An app as the controller has it now. */
  app(droplet: string): FakeApp | undefined {
    return this.#apps.get(droplet);
  }

  /** The controller says `droplet.updated`. */
  async updated(droplet: string): Promise<void> {
    // The pass that counts is one that begins after the update: as in life, some time is between them.
    await this.rest.hold('sync');
    if (this.bus.connected()) this.publish(SUBJECTS.updated, { droplet, cc_partition: 'default' });
    await this.#flush();
    this.clock.advance(1);
    await this.rest.release('sync');
    await this.settle();
  }

  /** Says anything. */
  publish(subject: string, message: object | string): void {
    this.bus.publish(subject, typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** A DEA, heard from now on. */
  dea(name: string): Dea {
    let dea = this.deas.get(name);
    if (dea === undefined) {
      dea = new Dea(name, {
        bus: this.bus,
        nowMs: () => this.nowMs(),
        newGuid: () => `i${String(++this.#guids).padStart(3, '0')}`,
      });
      this.deas.set(name, dea);
    }
    return dea;
  }

  /** Every DEA that is not silent, or one of them, says what it runs. */
  async beat(one?: Dea): Promise<void> {
    this.clock.advance(1);
    for (const dea of this.deas.values()) if (one === undefined || dea === one) dea.beat();
    await this.settle();
  }

  /** Time passes: heartbeats every ten seconds, syncs when they are due, ticks. */
  async advance(seconds: number): Promise<void> {
    const untilMs = this.clock.nowMs() + Math.round(seconds * 1000);
    while (this.clock.nowMs() < untilMs) {
      const nowMs = this.clock.nowMs();
      this.clock.set(Math.min(nowMs + STEP_MS, untilMs, Math.max(this.#nextBeatMs, nowMs + 1)));
      if (this.clock.nowMs() >= this.#nextBeatMs) {
        for (const dea of this.deas.values()) dea.beat();
        this.#nextBeatMs += HEARTBEAT_MS;
      }
      await this.turn();
    }
  }

  /** What happens as time goes by, without time's going by. */
  async turn(): Promise<void> {
    await this.#flush();
    const each = <T>(things: (T | undefined)[], work: (thing: T) => Promise<void>) =>
      Promise.all(things.filter((thing) => thing !== undefined).map((thing) => work(thing)));
    await each(
      this.running.map(({ ingest }) => ingest),
      async ({ listening }) => {
        await listening.publishWatermark(); // may have begun before the clock was moved
        await listening.publishWatermark();
      },
    );
    await each(
      this.running.map(({ sync }) => sync),
      (sync) => sync.check(),
    );
    if (!this.#options.timersFail && this.#runs('nudger')) await this.rest.passTimers();
    await this.#tick();
    await this.settle();
  }

  /** Until nothing is left that could happen without the clock's moving. */
  async settle(): Promise<void> {
    // Twice: one thing leads to the next, and the first look may have come between what was done and what it led to.
    for (let quiet = 0; quiet < 2; ) {
      const messages = this.#messages();
      await this.#flush();
      // First what is due: the cron's own tick may have taken that up, and then it is in hand.
      const isDue = this.#runs('analyzer') && this.isTicking && (await this.rest.due()) > 0;
      if (isDue) await this.#tick();
      const isBusy = await this.rest.isBusy((name) => this.#runs(name));
      quiet = isDue || isBusy || this.#messages() !== messages ? 0 : quiet + 1;
      if (quiet === 0) await aMoment();
    }
    await this.#flush();
    for (const dea of this.deas.values()) dea.settled(this.#runs('ingest'));
  }

  /** What was asked since the last call; of one droplet, if it is named. */
  takeSent(droplet?: string): Sent[] {
    const taken = this.sent.filter((sent) => droplet === undefined || sent.droplet === droplet);
    for (const sent of taken) this.sent.splice(this.sent.indexOf(sent), 1);
    return taken;
  }

  /** The same in short, e.g. `start web/2 (missing)`, `stop i7 of web (extra_index)`; sorted. */
  takeAsked(droplet?: string): string[] {
    return this.takeSent(droplet).map(inShort).sort();
  }

  /** What the decision log says of a droplet, oldest first. */
  async decisions(droplet: string): Promise<LogEntry[]> {
    const { client, keys } = this.store;
    const entries = await client.xrange(keys.decisions(keys.sliceOf(droplet)), '-', '+');
    return entries
      .map(([, [, entry]]) => JSON.parse(entry as string) as LogEntry)
      .filter((entry) => entry.droplet === droplet);
  }

  /** What the referee saw, for a test that provokes it. */
  takeFaults(): string[] {
    return this.referee.faults.splice(0);
  }

  /** Lines with this event that any of the running processes logged. */
  logged(event: string): Record<string, unknown>[] {
    return this.running.flatMap(({ context }) => context.lines.filter((line) => line.event === event));
  }

  #runs(name: string): boolean {
    // Without NATS a nudger keeps in hand what it has, and waits.
    if (name === 'nudger' && !this.bus.connected()) return false;
    return this.running.some((process) => process.name === name);
  }

  /** Ours first: what we published is at the server when the others ask. */
  get #allBuses(): [Bus, ...Bus[]] {
    return [this.bus, ...[...this.#buses.values()].flat()];
  }

  readonly #buses = new Map<TestContext, Bus[]>();

  async #run(name: ProcessName): Promise<Running> {
    return this.#wallClocks.within(this.wallClocks[name] ?? 0, async () => {
      const context = await this.#context();
      const process: Running = { name, context };
      const actual: ProcessContext = this.#options.realTime
        ? { ...context, clock: await realClock(context) }
        : context;
      if (name === 'ingest') process.ingest = await startIngest(actual);
      if (name === 'analyzer') process.analyzer = await startAnalyzer(actual);
      if (name === 'nudger') await startNudger(actual);
      if (name === 'sync') {
        const { pageTimeoutMs } = this.#options;
        const timeout = pageTimeoutMs === undefined ? {} : { pageTimeoutMs };
        process.sync = await startSync(actual, { firstDelayMs: 1, ...timeout });
      }
      if (name !== 'analyzer') this.#buses.set(context, await context.buses());
      context.lifecycle.onStop('world', () => void this.#buses.delete(context));
      return process;
    });
  }

  #context(): Promise<TestContext> {
    const { policy, settings } = this.#options;
    return testContext({
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
  }

  #listen(): void {
    const { bus } = this;
    bus.subscribe(bulkCredentialsSubject('default'), {}, (m) => m.respond(this.cc.credentials()));
    bus.subscribe(SUBJECTS.start, {}, (m) => this.#see(sentFrom('start', m, this.#seconds())));
    bus.subscribe(SUBJECTS.stop, {}, (m) => this.#see(sentFrom('stop', m, this.#seconds())));
    bus.subscribe(SUBJECTS.healthmanagerStart, {}, () => {
      for (const dea of this.deas.values()) dea.beat();
    });
  }

  #seconds(): number {
    return (this.nowMs() - this.startedMs) / 1000;
  }

  #see(sent: Sent): void {
    this.sent.push(sent);
    this.referee.check(sent);
    if (!this.#options.obedient) return;
    const { droplet, index, instance, message } = sent;
    if (sent.kind === 'stop') {
      for (const dea of this.deas.values()) if (dea.alive) dea.end(instance as string, 'STOPPED');
    } else this.#leastLoaded()?.run(droplet, index as number, message.version as string);
  }

  #leastLoaded(): Dea | undefined {
    return [...this.deas.values()].filter((dea) => dea.alive).sort((a, b) => a.size - b.size)[0];
  }

  async #tick(): Promise<void> {
    if (!this.isTicking) return;
    await Promise.all(this.running.map(({ analyzer }) => analyzer?.tick()));
  }

  /** All that was published has been handed over to every process, and stored. */
  async #flush(): Promise<void> {
    if (!this.bus.connected()) return;
    const [ours, ...others] = this.#allBuses;
    await ours.flush();
    await Promise.all(others.map((bus) => bus.flush()));
    await Promise.all(this.running.map(({ ingest }) => ingest?.idle()));
  }

  /** So many were sent and received: one that was answered with another moved on after it was flushed. */
  #messages(): number {
    const all = this.#allBuses.map(({ connection }) => connection.stats());
    return all.reduce((sum, { inMsgs, outMsgs }) => sum + inMsgs + outMsgs, 0);
  }

  async #until(condition: () => boolean): Promise<void> {
    await expect.poll(condition, { timeout: 10_000, interval: 5 }).toBe(true);
  }
}

function realClock({ redis, lifecycle }: TestContext): Promise<Clock> {
  return startClock(redis, lifecycle);
}
