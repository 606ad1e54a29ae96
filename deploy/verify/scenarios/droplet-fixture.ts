import type { Queue } from 'bullmq';
import { Registry } from 'prom-client';
import { expect } from 'vitest';
import { analyzerMetrics } from '../../../analyzer/metrics.ts';
import { Enqueuer } from '../../../analyzer/reconcile/enqueue.ts';
import { Reconciler } from '../../../analyzer/reconcile/reconciler.ts';
import type { LogEntry } from '../../../common/model/decision-log.ts';
import type { ExitReason } from '../../../common/model/reasons.ts';
import type { Bus } from '../../../common/nats/bus.ts';
import { sendDeadlineMs } from '../../../common/policy/thresholds.ts';
import type { StartJob, StopJob } from '../../../common/queues/queues.ts';
import type { RedisClient, RedisConnections } from '../../../common/redis/connection/connections.ts';
import type { FleetCounters } from '../../../common/redis/fleet/counters.ts';
import { createKeys } from '../../../common/redis/keys.ts';
import { readDroplets } from '../../../common/redis/scripts/droplets/reads/read-droplets.ts';
import { SETTINGS } from '../../../common/testing/builders.ts';
import { ManualClock, type TestContext } from '../../../common/testing/context.ts';
import { Steps } from '../../../common/testing/interleavings.ts';
import { storeChangedHeartbeat } from '../../../ingest/heartbeats/storing/store-changed.ts';
import { storeExit, storeUpdate } from '../../../ingest/store-events.ts';
import { natsController } from '../../../nudger/controller.ts';
import { startDelivery, stopDelivery } from '../../../nudger/delivery/build-delivery.ts';
import { deliver } from '../../../nudger/delivery/deliver.ts';
import { DeliveryStore } from '../../../nudger/delivery/delivery-store.ts';
import { ENCODERS } from '../../../nudger/dialect.ts';
import { nudgerMetrics } from '../../../nudger/metrics.ts';
import { NatsGate } from '../../../nudger/nats-gate.ts';

const DROPLET = 'app';
const DEA = 'dea-1';
let runs = 0;

export type Choose = (of: number) => number;
type Job = { of: 'starts' | 'restarts'; data: StartJob } | { of: 'stops'; data: StopJob };

/** A droplet with one wanted and running instance, its queues, and the processes that work on it. */
export class DropletFixture {
  readonly redis: RedisConnections;
  readonly steps: Steps;
  readonly clock = new ManualClock();
  /** The jobs in the queues, by id. */
  readonly jobs = new Map<string, Job>();
  readonly #context: TestContext;
  readonly #nudgers: number;
  /** The published requests: the job's id, and the index of a start. */
  readonly published: { id: string; indices?: number[] }[] = [];
  readonly decided = new Set<string>();
  readonly taken: string[] = [];
  #instances = new Map([['i0', 'RUNNING']]);
  #tasks = 0;

  constructor(context: TestContext, nudgers: number) {
    this.#context = context;
    this.redis = { ...context.redis, keys: createKeys(`run${runs++}`, 1) };
    this.steps = new Steps(this.redis);
    this.#nudgers = nudgers;
  }

  /** Stores the droplet so that no hold is on and nothing is due. */
  async begin(): Promise<void> {
    const { client, keys } = this.redis;
    const nowMs = this.clock.nowMs();
    const longAgo = nowMs - 600_000;
    await Promise.all([
      client.hset(keys.listening, { since: longAgo, until: nowMs }),
      client.hset(keys.syncState, { completed: nowMs, succeeded: nowMs }),
      client.hset(keys.droplet(DROPLET), {
        seen: longAgo,
        desired: 'STARTED 1x STAGED version v 256M updated 1398000000',
        rev: 1,
      }),
      client.hset(keys.indexOf(DROPLET), DROPLET, ''),
    ]);
    await this.#storeHeartbeat(this.redis);
    await this.#reconciler(this.redis).reconcile([DROPLET]);
    expect(await this.dueNow()).toBe(false);
  }

  exit(instance: string, reason: ExitReason): void {
    const exited = {
      droplet: DROPLET,
      instance,
      version: 'v',
      index: 0,
      reason,
      crashTimestampS: 1_398_000_100,
    };
    this.#task(`exit of ${instance}`, (redis) => storeExit(redis, this.clock, exited, SETTINGS));
  }

  update(): void {
    this.#task('update', (redis) => storeUpdate(redis, this.clock, DROPLET));
  }

  /** The DEA sends a heartbeat with these instances. */
  heartbeat(instances: Record<string, string>): void {
    this.#instances = new Map(Object.entries(instances));
    this.#task('heartbeat', (redis) => this.#storeHeartbeat(redis));
  }

  reconcile(): void {
    this.#task('reconcile', (redis) => this.#reconciler(redis).reconcile([DROPLET]));
  }

  /** Runs all steps in the order that `choose` gives. */
  async runAll(choose: Choose): Promise<void> {
    for (let ready = await this.steps.ready(); ready.length > 0; ready = await this.steps.ready()) {
      const step = ready[ready.length === 1 ? 0 : choose(ready.length)];
      if (step === undefined) throw new Error('no such step');
      this.taken.push(`${step.task}: ${step.name}`);
      await this.steps.take(step);
    }
    await this.steps.results();
  }

  async dueNow(): Promise<boolean> {
    const { client, keys } = this.redis;
    return (await client.zcount(keys.due(0), '-inf', this.clock.nowMs())) > 0;
  }

  async log(kind: LogEntry['kind']): Promise<LogEntry[]> {
    const entries = await this.redis.client.xrange(this.redis.keys.decisions(0), '-', '+');
    return entries
      .map(([, [, json]]) => JSON.parse(json as string) as LogEntry)
      .filter((entry) => entry.kind === kind);
  }

  async droplet() {
    const [droplet] = await readDroplets(this.redis, [DROPLET]);
    if (droplet === undefined || droplet instanceof Error) throw new Error('no record');
    return droplet;
  }

  #task(name: string, work: (redis: RedisConnections) => Promise<unknown>): void {
    void this.steps.task(`${name} (${++this.#tasks})`, work);
  }

  async #storeHeartbeat(redis: RedisConnections): Promise<void> {
    const entries = [...this.#instances].map(([instance, state]) => ({
      droplet: DROPLET,
      version: 'v',
      instance,
      index: 0,
      state,
      stateTimestampS: 1,
    }));
    const receivedMs = this.clock.nowMs();
    const raw = { digest: JSON.stringify(entries), receivedMs, earliestMs: receivedMs };
    await storeChangedHeartbeat(redis, 30_000, { dea: DEA, entries, rejected: [] }, raw);
  }

  #reconciler(redis: RedisConnections): Reconciler {
    const { log, settings } = this.#context;
    return new Reconciler({
      redis,
      clock: this.clock,
      log,
      metrics: analyzerMetrics(new Registry()),
      policy: settings.policy,
      enqueuer: new Enqueuer({
        redis: {
          client: {
            exists: async (...ids: string[]) => ids.filter((id) => this.jobs.has(id)).length,
            zmscore: async (_: string, ...ids: string[]) => ids.map(() => null),
            hget: async () => String(Number.MAX_SAFE_INTEGER), // a pass is requested already
          } as unknown as RedisClient,
          keys: createKeys('hm', 1),
        },
        clock: this.clock,
        policy: settings.policy,
        starts: this.#queue('starts'),
        restarts: this.#queue('restarts'),
        stops: this.#queue('stops'),
        sync: {} as Queue,
      }),
    });
  }

  /** A minimal queue, in which adding a job starts a delivery by each nudger. */
  #queue(of: Job['of']): Queue {
    const queue = {
      add: async (_name: string, data: StartJob & StopJob) => this.#add({ of, data }),
      addBulk: async (jobs: { data: StartJob & StopJob }[]) => {
        for (const { data } of jobs) this.#add({ of, data });
      },
      remove: async (id: string) => void this.jobs.delete(id),
      getJob: async () => undefined,
      getJobState: async (id: string) => (this.jobs.has(id) ? 'waiting' : 'unknown'),
      toKey: (id: string) => id,
    };
    return queue as unknown as Queue;
  }

  #add(job: Job): void {
    const { id } = job.data;
    if (this.jobs.has(id)) return;
    const isStart = job.of !== 'stops';
    const others = [...this.jobs.values()].filter(({ of }) => isStart && of !== 'stops');
    expect(others, `a start beside ${id}`).toEqual([]);
    this.jobs.set(id, job);
    this.decided.add(id);
    // A delayed job is due after the end of the test.
    if (job.of === 'restarts') return;
    for (let n = 1; n <= this.#nudgers; n++) this.#task(`nudger ${n}`, (redis) => this.#deliver(redis, job));
  }

  async #deliver(redis: RedisConnections, job: Job): Promise<void> {
    const { log, settings } = this.#context;
    const bus = {
      connected: () => true,
      onRestored: () => undefined,
      flush: async () => undefined,
      publish: (_: string, data: string) => {
        const { indices } = JSON.parse(data) as { indices?: number[] };
        this.published.push({ id: job.data.id, ...(indices === undefined ? {} : { indices }) });
      },
    } as unknown as Bus;
    const { policy } = settings;
    const delivery =
      job.of === 'stops' ? stopDelivery(job.data, ENCODERS.hm2) : startDelivery(job.data, ENCODERS.hm2);
    const end = await deliver(delivery, {
      redis,
      store: new DeliveryStore({ redis, clock: this.clock, policy }),
      controller: natsController(bus, sendDeadlineMs(policy)),
      clock: this.clock,
      log,
      metrics: nudgerMetrics(new Registry()),
      counters: { increment: () => undefined } as unknown as FleetCounters,
      policy,
      dryRun: false,
      gate: new NatsGate(bus, new AbortController().signal),
    });
    if ('outcome' in end) this.jobs.delete(job.data.id);
  }
}
