import type { Queue } from 'bullmq';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { analyzerMetrics } from '../../../analyzer/metrics.ts';
import { Enqueuer } from '../../../analyzer/reconcile/enqueue.ts';
import { Reconciler } from '../../../analyzer/reconcile/reconciler.ts';
import type { LogEntry } from '../../../common/model/decision-log.ts';
import type { ExitReason } from '../../../common/model/reasons.ts';
import type { Bus } from '../../../common/nats/bus.ts';
import type { StartJob, StopJob } from '../../../common/queues/queues.ts';
import type { RedisClient, RedisConnections } from '../../../common/redis/connections.ts';
import type { FleetCounters } from '../../../common/redis/counters.ts';
import { createKeys } from '../../../common/redis/keys.ts';
import { readDroplets } from '../../../common/redis/scripts/droplets/read-droplets.ts';
import { SETTINGS } from '../../../common/testing/builders.ts';
import { ManualClock, useRedis } from '../../../common/testing/context.ts';
import { exploreInterleavings, Steps } from '../../../common/testing/interleavings.ts';
import { inputs } from '../../../common/testing/property-seed.ts';
import { storeChangedHeartbeat } from '../../../ingest/heartbeats/store-changed.ts';
import { storeExit, storeUpdate } from '../../../ingest/store-events.ts';
import { startDelivery, stopDelivery } from '../../../nudger/build-delivery.ts';
import { deliver } from '../../../nudger/deliver.ts';
import { DeliveryStore } from '../../../nudger/delivery-store.ts';
import { nudgerMetrics } from '../../../nudger/metrics.ts';
import { NatsGate } from '../../../nudger/nats-gate.ts';

/*
 * Ingestors, two analyzers and two nudgers work on one droplet at the same time. An analyzer reads and commits, a nudger
 * reads and settles, an ingestor writes; any other step may come between two of these. Two nudgers may hold the same job
 * if one of them was taken for dead.
 *
 * Why each order ends right:
 *
 * - Every write of a decision or of its outcome names the revision that was read, and every change of the facts behind a
 *   decision makes a new revision. So of two processes that decided on one record, one is refused, reads again, and finds
 *   the other's decision. There is one decision for each crash, and only one nudger settles it and sends.
 * - A job is added after its decision is stored. A nudger that does not find that decision in the record, because it was
 *   cancelled or replaced meanwhile, sends nothing. A job that is added after the cancellation ends the same way.
 * - A reconcile that read before an exit or update was stored conflicts; a later one has read it. A change between two
 *   reconciles leaves the droplet due, and a commit does not remove a due time after its own time.
 */

const DROPLET = 'app';
const DEA = 'dea-1';
const redisOf = useRedis();

let runs = 0;

type Choose = (of: number) => number;
type Job = { of: 'starts' | 'restarts'; data: StartJob } | { of: 'stops'; data: StopJob };

/** A droplet with one wanted and running instance, its queues, and the processes that work on it. */
class DropletFixture {
  readonly redis: RedisConnections;
  readonly steps: Steps;
  readonly clock = new ManualClock();
  /** The jobs in the queues, by id. */
  readonly jobs = new Map<string, Job>();
  readonly #nudgers: number;
  /** The published requests: the job's id, and the index of a start. */
  readonly published: { id: string; indices?: number[] }[] = [];
  readonly decided = new Set<string>();
  readonly taken: string[] = [];
  #instances = new Map([['i0', 'RUNNING']]);
  #tasks = 0;

  constructor(nudgers: number) {
    this.redis = { ...redisOf.context.redis, keys: createKeys(`run${runs++}`, 1) };
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
    const raw = { digest: JSON.stringify(entries), receivedMs: this.clock.nowMs() };
    await storeChangedHeartbeat(redis, 30_000, { dea: DEA, entries, rejected: [] }, raw);
  }

  #reconciler(redis: RedisConnections): Reconciler {
    const { log, settings } = redisOf.context;
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
    const { log, settings } = redisOf.context;
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
    const delivery = job.of === 'stops' ? stopDelivery(job.data) : startDelivery(job.data);
    const end = await deliver(delivery, {
      redis,
      store: new DeliveryStore({ redis, clock: this.clock, policy }),
      bus,
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

async function withDroplet(nudgers: number, work: (fixture: DropletFixture) => Promise<void>): Promise<void> {
  const fixture = new DropletFixture(nudgers);
  try {
    await fixture.begin();
    await work(fixture);
  } catch (cause) {
    throw new Error(`${fixture.taken.join('\n')}\n${cause}`, { cause });
  }
}

/** Ticks until nothing is due. */
async function tickUntilIdle(fixture: DropletFixture, choose: Choose): Promise<void> {
  fixture.clock.advance(2);
  for (let tick = 0; await fixture.dueNow(); tick++) {
    expect(tick, 'ticks until nothing is due').toBeLessThan(10);
    fixture.reconcile();
    await fixture.runAll(choose);
    fixture.clock.advance(2);
  }
}

test.each([
  ['two analyzers and a nudger', 2, 1],
  ['an analyzer and two nudgers', 1, 2],
])('one crash, %s, in every order: one decision that is sent once', async (_, analyzers, nudgers) => {
  const ways = await exploreInterleavings((choose) =>
    withDroplet(nudgers, async (fixture) => {
      fixture.exit('i0', 'CRASHED');
      for (let n = 0; n < analyzers; n++) fixture.reconcile();
      await fixture.runAll(choose);
      await tickUntilIdle(fixture, () => 0);
      expect(fixture.published).toMatchObject([{ indices: [0] }]);
      expect(await fixture.log('start')).toMatchObject([{ reason: 'crashed', index: 0 }]);
      expect(await fixture.log('sent')).toHaveLength(1);
      const { slots, handledExits, outcomes } = await fixture.droplet();
      expect(slots.get(0)).toMatchObject({ crashes: 1, start: { id: fixture.published[0]?.id } });
      expect(handledExits).toBe(1);
      expect([...outcomes.keys()]).toEqual([fixture.published[0]?.id]);
    }),
  );
  expect(ways).toBeGreaterThan(10);
});

test('a start and an instance that starts without a request, in every order: sent once or cancelled', async () => {
  await exploreInterleavings((choose) =>
    withDroplet(1, async (fixture) => {
      fixture.exit('i0', 'DEA_SHUTDOWN');
      await fixture.runAll(choose);
      fixture.clock.advance(10);
      fixture.reconcile();
      fixture.heartbeat({ i1: 'RUNNING' });
      await fixture.runAll(choose);
      await tickUntilIdle(fixture, () => 0);
      expect(fixture.published.length).toBeLessThanOrEqual(1);
      expect((await fixture.log('start')).length).toBeLessThanOrEqual(1);
      const ends = [
        ...(await fixture.log('sent')),
        ...(await fixture.log('dropped')),
        ...(await fixture.log('cancel')),
      ];
      expect(ends).toHaveLength((await fixture.log('start')).length);
      expect([...fixture.jobs.keys()]).toEqual([]);
      expect((await fixture.droplet()).slots.get(0)?.start).toBeUndefined();
    }),
  );
});

type Action =
  | { what: 'exit'; instance: string; reason: ExitReason }
  | { what: 'heartbeat'; instances: Record<string, string> }
  | { what: 'update' }
  | { what: 'reconcile' };

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    what: fc.constant('exit' as const),
    instance: fc.constantFrom('i0', 'i0', 'i1', 'i2'),
    reason: fc.constantFrom('CRASHED', 'CRASHED', 'DEA_EVACUATION', 'DEA_SHUTDOWN', 'STOPPED'),
  }),
  fc.record({
    what: fc.constant('heartbeat' as const),
    instances: fc.dictionary(
      fc.constantFrom('i0', 'i1'),
      fc.constantFrom('RUNNING', 'STARTING', 'EVACUATING'),
    ),
  }),
  fc.constant({ what: 'update' as const }),
  fc.constant({ what: 'reconcile' as const }),
  fc.constant({ what: 'reconcile' as const }),
);

test('after any events in any order: at most one start on its way, each sent at most once, none lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(action, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
      (rounds, order) =>
        withDroplet(2, async (fixture) => {
          let at = 0;
          const choose: Choose = (of) => (order[at++ % order.length] as number) % of;
          for (const round of rounds) {
            for (const one of round) {
              fixture.taken.push(JSON.stringify(one));
              if (one.what === 'exit') fixture.exit(one.instance, one.reason);
              else if (one.what === 'heartbeat') fixture.heartbeat(one.instances);
              else if (one.what === 'update') fixture.update();
              else fixture.reconcile();
            }
            await fixture.runAll(choose);
            fixture.clock.advance(100);
          }
          await tickUntilIdle(fixture, choose);

          const ids = fixture.published.map(({ id }) => id);
          expect(new Set(ids).size, 'each decision is sent once').toBe(ids.length);
          expect((await fixture.log('sent')).map(({ id }) => id).sort()).toEqual([...ids].sort());
          const decided = [...(await fixture.log('start')), ...(await fixture.log('stop'))].map(
            ({ id }) => id,
          );
          expect([...fixture.decided].sort()).toEqual(decided.sort());
          // The queues hold exactly the decisions without an outcome.
          const { slots, stops, outcomes } = await fixture.droplet();
          const start = slots.get(0)?.start;
          const waiting = [...stops.values()].filter(({ held }) => held === undefined).map(({ id }) => id);
          if (start !== undefined) waiting.push(start.id);
          expect([...fixture.jobs.keys()].sort()).toEqual(waiting.filter((id) => !outcomes.has(id)).sort());
        }),
    ),
    inputs(200),
  );
});
