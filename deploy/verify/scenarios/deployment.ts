import type { Queue } from 'bullmq';
import { expect } from 'vitest';
import { defaultSettings, type Settings } from '../../../common/config/settings.ts';
import type { Dialect } from '../../../common/messages/dialects/dialects.ts';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { LogEntry } from '../../../common/model/decision-log.ts';
import type { Bus } from '../../../common/nats/bus.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { openQueue } from '../../../common/queues/queues.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { ManualClock, type TestContext, testContext } from '../../../common/testing/context.ts';
import { startNats, type TestNats } from '../../../common/testing/nats/server.ts';
import { emptyRedis, type RedisUnderTest } from '../../../common/testing/redis/server.ts';
import { redisUnderTest } from '../../../common/testing/redis/under-test.ts';
import { type BulkApp, SimulatedController } from '../sim/controller.ts';
import { DIALECT_UNDER_TEST } from './dialect-under-test.ts';
import { Hm9000Controller } from './hm9000/controller.ts';
import { Hm9000Referee } from './hm9000/referee.ts';
import { ALL_PROCESSES, Processes, type ProcessName } from './processes.ts';
import { Quiescence } from './quiescence.ts';
import { Referee } from './referee.ts';
import { ScriptedDea } from './scripted-dea.ts';
import { type SentMessage, summaryOf, toSentMessage } from './sent.ts';
import { TimeDriver } from './time-driver.ts';

export interface DeploymentOptions {
  policy?: Partial<PolicySettings>;
  settings?: Partial<Omit<Settings, 'policy'>>;
  /** Which processes run, each named once per copy; default: one of each. */
  processes?: readonly ProcessName[];
  /** How far the wall clocks of those processes are ahead (ms). */
  wallClockOffsetsMs?: Partial<Record<ProcessName, number>>;
  /** The DEAs carry out every start and stop that is sent. */
  executesRequests?: boolean;
  /** The test does not move time: the processes use the true clock, and so do BullMQ's timers. */
  realTime?: boolean;
  /** `tick` leaves delayed jobs in their queues, as if BullMQ's timers failed. */
  queueTimersFail?: boolean;
  pageTimeoutMs?: number;
}

/** Few, so that the check for quiescence is quick. */
const SLICES = 4;

/**
 * A whole health manager in one test: the real code of all processes on a real Redis and a real NATS, a simulated
 * controller, DEAs that the test commands, and one clock that only the test moves. A referee checks every message.
 */
export class Deployment {
  readonly clock = new ManualClock();
  readonly sent: SentMessage[] = [];
  readonly deas = new Map<string, ScriptedDea>();
  readonly referee: Referee;
  /** Judges in the place of `referee` with the dialects of hm9000. */
  readonly hm9000Referee: Hm9000Referee;
  readonly processes: Processes;
  readonly startedMs = this.clock.nowMs();
  redis!: RedisUnderTest;
  nats!: TestNats;
  controller!: SimulatedController;
  bus!: Bus;
  quiescence!: Quiescence;
  time!: TimeDriver;
  readonly #options: DeploymentOptions;
  readonly #dialect: Dialect;
  readonly #apps = new Map<string, BulkApp>();
  #observer!: TestContext;
  readonly #hm9000Controller: Hm9000Controller;
  #internalApi: Settings['internalApi'];
  #guids = 0;

  private constructor(options: DeploymentOptions) {
    this.#options = options;
    this.#dialect = options.settings?.dialect ?? DIALECT_UNDER_TEST;
    const { realTime = false, pageTimeoutMs, policy } = options;
    this.processes = new Processes({ newContext: () => this.newContext(), realTime, pageTimeoutMs });
    this.processes.wallClockOffsetsMs = options.wallClockOffsetsMs ?? {};
    this.referee = new Referee({
      nowMs: () => this.nowMs(),
      dropletLostMs: policy?.dropletLostMs ?? 30_000,
      deas: { [Symbol.iterator]: () => this.deas.values() },
      app: (droplet) => this.#apps.get(droplet),
    });
    this.hm9000Referee = new Hm9000Referee({
      app: (droplet) => this.#apps.get(droplet),
      instances: () => [...this.deas.values()].flatMap((dea) => [...dea.instances.values()]),
    });
    this.#hm9000Controller = new Hm9000Controller(
      (sent) => {
        const refusal = this.hm9000Referee.check(sent);
        this.#receive(sent);
        return refusal;
      },
      () => this.#seconds(),
    );
  }

  static async start(options: DeploymentOptions = {}): Promise<Deployment> {
    const deployment = new Deployment(options);
    [deployment.redis, deployment.nats, deployment.controller] = await Promise.all([
      redisUnderTest(),
      startNats(),
      SimulatedController.start(),
    ]);
    if (deployment.#dialect === 'hm9000-http')
      deployment.#internalApi = await deployment.#hm9000Controller.listen();
    const observer = await deployment.newContext();
    deployment.#observer = observer;
    deployment.bus = await observer.connectBus();
    deployment.#subscribe();
    deployment.quiescence = new Quiescence(
      observer.redis,
      deployment.clock,
      (name): Queue => openQueue(observer.redis, observer.lifecycle, observer.log, name),
    );
    const { clock, processes, deas, quiescence, bus } = deployment;
    const { queueTimersFail = false } = options;
    deployment.time = new TimeDriver({ clock, processes, deas, quiescence, bus, queueTimersFail });
    // A cluster's nodes are new to the failover detector. If it found them after an ingestor's first watermark, it would
    // reset that watermark.
    await observer.redis.failover?.check();
    await deployment.processes.start(...(options.processes ?? ALL_PROCESSES));
    return deployment;
  }

  /** The test's own connection to Redis. */
  get observer(): RedisConnections {
    return this.#observer.redis;
  }

  /** The time for DEAs and the referee (ms). */
  nowMs(): number {
    return this.#options.realTime ? Date.now() : this.clock.nowMs();
  }

  /**
   * Stops everything.
   *
   * @throws if the referee found a violation that the test has not taken (`takeViolations`)
   */
  async stop(): Promise<void> {
    await this.processes.close();
    await this.#observer.lifecycle.stop();
    await Promise.all([this.redis.stop(), this.nats.stop(), this.controller.stop()]);
    await this.#hm9000Controller.stop();
    expect([...this.referee.violations, ...this.hm9000Referee.violations]).toEqual([]);
  }

  /** Kills NATS with all its connections. */
  async killNats(): Promise<void> {
    await this.nats.kill();
    await waitUntil(() => this.time.buses.every((bus) => !bus.connected()));
  }

  /** Starts NATS again and waits for every client. */
  async restartNats(): Promise<void> {
    this.nats = await startNats({ port: this.nats.port });
    await waitUntil(() => this.time.buses.every((bus) => bus.connected()));
  }

  /** Redis loses all its data. */
  async emptyRedis(): Promise<void> {
    this.referee.redisLostItsData();
    this.clock.advance(1);
    await emptyRedis(this.observer.client);
  }

  /** The controller changes an app, and sends `droplet.updated` unless `announce` is false. */
  async desire(droplet: string, app: BulkApp = {}, { announce = true } = {}): Promise<void> {
    const defaults = { instances: 1, state: 'STARTED', package_state: 'STAGED', version: `${droplet}-v1` };
    const before = this.#apps.get(droplet) ?? defaults;
    this.#apps.set(droplet, { ...before, ...app });
    this.controller.put(droplet, { ...before, ...app });
    if (announce) await this.announceUpdate(droplet);
  }

  /** The controller deletes an app, and sends `droplet.updated` unless `announce` is false. */
  async deleteApp(droplet: string, { announce = true } = {}): Promise<void> {
    this.#apps.delete(droplet);
    this.controller.delete(droplet);
    if (announce) await this.announceUpdate(droplet);
  }

  /** An app as the controller has it now. */
  app(droplet: string): BulkApp | undefined {
    return this.#apps.get(droplet);
  }

  /** The controller sends `droplet.updated`. */
  async announceUpdate(droplet: string): Promise<void> {
    // Only a pass that begins after the update counts, so the clock moves between the two.
    await this.quiescence.pause('sync');
    if (this.bus.connected()) this.publish(SUBJECTS.updated, { droplet, cc_partition: 'default' });
    await this.time.flush();
    this.clock.advance(1);
    await this.quiescence.resume('sync');
    await this.settle();
  }

  /** Publishes any message. */
  publish(subject: string, message: object | string): void {
    this.bus.publish(subject, typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** A DEA by its id; a new one sends heartbeats from now on. */
  dea(id: string): ScriptedDea {
    let dea = this.deas.get(id);
    if (dea === undefined) {
      const { bus } = this;
      dea = new ScriptedDea({
        id,
        publish: (subject, payload) => {
          if (bus.connected()) bus.publish(subject, payload);
          return bus.connected();
        },
        nowMs: () => this.nowMs(),
        newGuid: () => `i${String(++this.#guids).padStart(3, '0')}`,
      });
      this.deas.set(id, dea);
    }
    return dea;
  }

  /** Every connected DEA, or one of them, sends a heartbeat, which is then processed. */
  async heartbeat(only?: ScriptedDea): Promise<void> {
    this.clock.advance(1);
    for (const dea of this.deas.values()) if (only === undefined || dea === only) dea.sendHeartbeat();
    await this.settle();
  }

  /** See `TimeDriver.advance`. */
  advance(seconds: number): Promise<void> {
    return this.time.advance(seconds);
  }

  /** See `TimeDriver.tick`. */
  tick(): Promise<void> {
    return this.time.tick();
  }

  /** See `TimeDriver.settle`. */
  settle(): Promise<void> {
    return this.time.settle();
  }

  /** The requests sent since the last call, in short and sorted: `start web/2 (missing)`, `stop i7 of web (extra_index)`. */
  takeSent(droplet?: string): string[] {
    return this.takeSentMessages(droplet).map(summaryOf).sort();
  }

  /** The requests sent since the last call; for one droplet, if it is named. */
  takeSentMessages(droplet?: string): SentMessage[] {
    const taken = this.sent.filter((sent) => droplet === undefined || sent.droplet === droplet);
    for (const sent of taken) this.sent.splice(this.sent.indexOf(sent), 1);
    return taken;
  }

  /** The decision log of a droplet, oldest entry first. */
  async decisions(droplet: string): Promise<LogEntry[]> {
    const { client, keys } = this.observer;
    const entries = await client.xrange(keys.decisions(keys.sliceOf(droplet)), '-', '+');
    return entries
      .map(([, [, entry]]) => JSON.parse(entry as string) as LogEntry)
      .filter((entry) => entry.droplet === droplet);
  }

  /** What the referee found, for a test that provokes it. */
  takeViolations(): string[] {
    return [...this.referee.violations.splice(0), ...this.hm9000Referee.violations.splice(0)];
  }

  /** The log lines of the running processes that have this event. */
  logged(event: string): Record<string, unknown>[] {
    return this.processes.logged(event);
  }

  /** A context with the settings of the deployment, for one more process. */
  newContext(): Promise<TestContext> {
    const { policy, settings } = this.#options;
    return testContext({
      redis: this.redis,
      nats: this.nats,
      clock: this.clock,
      settings: {
        startsPerPeriod: 1_000_000,
        slices: SLICES,
        bulkApi: { ...defaultSettings().bulkApi, host: this.controller.host, batchSize: 10 },
        dialect: this.#dialect,
        ...settings,
        ...(this.#internalApi && { internalApi: this.#internalApi }),
        ...(policy === undefined ? {} : { policy }),
      },
    });
  }

  #subscribe(): void {
    const { bus } = this;
    bus.subscribe(bulkCredentialsSubject('default'), {}, (m) => m.respond(this.controller.credentials()));
    for (const kind of ['start', 'stop'] as const)
      bus.subscribe(SUBJECTS[kind], {}, (message) => {
        const sent = toSentMessage(kind, message, this.#seconds());
        this.referee.check(sent);
        if (this.#dialect !== 'hm2') this.referee.violations.push(`${message.subject} with another dialect`);
        this.#receive(sent);
      });
    this.#hm9000Controller.subscribe(bus);
    bus.subscribe(SUBJECTS.healthmanagerStart, {}, () => {
      for (const dea of this.deas.values()) dea.sendHeartbeat();
    });
  }

  #seconds(): number {
    return (this.nowMs() - this.startedMs) / 1000;
  }

  #receive(sent: SentMessage): void {
    this.sent.push(sent);
    if (!this.#options.executesRequests) return;
    const { droplet, index, instance, message } = sent;
    const connected = [...this.deas.values()].filter((dea) => dea.connected);
    if (sent.kind === 'stop') {
      for (const dea of connected) dea.end(instance as string, 'STOPPED');
    } else {
      const [leastLoaded] = connected.sort((a, b) => a.listed.size - b.listed.size);
      leastLoaded?.run(droplet, index as number, message.version as string);
    }
  }
}

async function waitUntil(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { interval: 5 }).toBe(true);
}
