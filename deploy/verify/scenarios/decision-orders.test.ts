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
import { readDroplets } from '../../../common/redis/readers.ts';
import { SETTINGS } from '../../../common/testing/builders.ts';
import { ManualClock, useRedis } from '../../../common/testing/context.ts';
import { everyWay, Steps } from '../../../common/testing/interleavings.ts';
import { inputs } from '../../../common/testing/property-seed.ts';
import { storeChangedHeartbeat } from '../../../ingest/heartbeats/store-changed.ts';
import { storeExit, storeUpdate } from '../../../ingest/store-events.ts';
import { startDelivery, stopDelivery } from '../../../nudger/build-delivery.ts';
import { deliver } from '../../../nudger/deliver.ts';
import { DeliveryStore } from '../../../nudger/delivery-store.ts';
import { nudgerMetrics } from '../../../nudger/metrics.ts';
import { NatsGate } from '../../../nudger/nats-gate.ts';

/*
 * Ingestors, two analyzers and two nudgers have to do with one droplet at once. An analyzer reads and commits, a
 * nudger reads and settles, an ingestor writes; between any two of these steps any other may come. A job may be in
 * the hands of two nudgers, when one was taken for dead.
 *
 * Why each order ends right:
 *
 * - Whoever stores a decision, or what became of one, names the revision that it read; every change of what a decision
 *   rests on makes a new one. So of two who decided on one record one is told no, reads again, and finds the other's
 *   decision there: there is one decision for each crash, and `settle` lets one nudger send.
 * - A job is made after its decision is stored. A nudger that finds the record without that decision, because it was
 *   taken back or replaced meanwhile, sends nothing. A job that is added after it was taken back ends the same way.
 * - A look that read before an exit or update was stored conflicts; one that did not, saw it. What came in between
 *   two looks left the droplet due, and a commit does not take away what became due after its own time.
 */

const DROPLET = 'app';
const DEA = 'dea-1';
const redisOf = useRedis();

let runs = 0;

type Choose = (of: number) => number;
type Job = { of: 'starts' | 'restarts'; data: StartJob } | { of: 'stops'; data: StopJob };

/** A droplet that wants one instance and has it, with all that has to do with it. */
class Scene {
  readonly redis: RedisConnections;
  readonly steps: Steps;
  readonly clock = new ManualClock();
  /** By id: jobs of the queues that have not left. */
  readonly jobs = new Map<string, Job>();
  readonly #nudgers: number;
  /** What was published: the job's id, and the index of a start. */
  readonly published: { id: string; indices?: number[] }[] = [];
  readonly decided = new Set<string>();
  readonly taken: string[] = [];
  #instances = new Map([['i0', 'RUNNING']]);
  #tasks = 0;

  constructor(nudgers: number) {
    this.redis = { ...redisOf.context.redis, keys: createKeys(`draft${runs++}`, 1) };
    this.steps = new Steps(this.redis);
    this.#nudgers = nudgers;
  }

  /** Nothing is held, and nothing is due. */
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
    await this.#hear(this.redis);
    await this.#looker(this.redis).reconcile([DROPLET]);
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

  /** The DEA says that these run. */
  hear(instances: Record<string, string>): void {
    this.#instances = new Map(Object.entries(instances));
    this.#task('heartbeat', (redis) => this.#hear(redis));
  }

  look(): void {
    this.#task('look', (redis) => this.#looker(redis).reconcile([DROPLET]));
  }

  /** Takes steps, in the order that `choose` gives, until there are none. */
  async takeAll(choose: Choose): Promise<void> {
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

  async #hear(redis: RedisConnections): Promise<void> {
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

  #looker(redis: RedisConnections): Reconciler {
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
          } as unknown as RedisClient,
        },
        clock: this.clock,
        starts: this.#queue('starts'),
        restarts: this.#queue('restarts'),
        stops: this.#queue('stops'),
      }),
    });
  }

  /** As much of a queue as is needed: whoever adds a job wakes the nudgers. */
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
    // One that is delayed leaves later than this test goes.
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
    const delivery = job.of === 'stops' ? stopDelivery(job.data, policy) : startDelivery(job.data, policy);
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

async function inScene(nudgers: number, work: (draft: Scene) => Promise<void>): Promise<void> {
  const draft = new Scene(nudgers);
  try {
    await draft.begin();
    await work(draft);
  } catch (cause) {
    throw new Error(`${draft.taken.join('\n')}\n${cause}`, { cause });
  }
}

/** The tick finds what is due, until nothing is. */
async function ticks(draft: Scene, choose: Choose): Promise<void> {
  draft.clock.advance(2);
  for (let tick = 0; await draft.dueNow(); tick++) {
    expect(tick, 'ticks until all is quiet').toBeLessThan(10);
    draft.look();
    await draft.takeAll(choose);
    draft.clock.advance(2);
  }
}

test.each([
  ['two analyzers and a nudger', 2, 1],
  ['an analyzer and two nudgers', 1, 2],
])('one crash, %s in every order: one decision, sent once', async (_, analyzers, nudgers) => {
  const ways = await everyWay((choose) =>
    inScene(nudgers, async (draft) => {
      draft.exit('i0', 'CRASHED');
      for (let n = 0; n < analyzers; n++) draft.look();
      await draft.takeAll(choose);
      await ticks(draft, () => 0);
      expect(draft.published).toMatchObject([{ indices: [0] }]);
      expect(await draft.log('start')).toMatchObject([{ reason: 'crashed', index: 0 }]);
      expect(await draft.log('sent')).toHaveLength(1);
      const { slots, handledExits, outcomes } = await draft.droplet();
      expect(slots.get(0)).toMatchObject({ crashes: 1, start: { id: draft.published[0]?.id } });
      expect(handledExits).toBe(1);
      expect([...outcomes.keys()]).toEqual([draft.published[0]?.id]);
    }),
  );
  expect(ways).toBeGreaterThan(10);
});

test('a start and an instance that comes up by itself in every order: sent at most once, taken back otherwise', async () => {
  await everyWay((choose) =>
    inScene(1, async (draft) => {
      draft.exit('i0', 'DEA_SHUTDOWN');
      await draft.takeAll(choose);
      draft.clock.advance(10);
      draft.look();
      draft.hear({ i1: 'RUNNING' });
      await draft.takeAll(choose);
      await ticks(draft, () => 0);
      expect(draft.published.length).toBeLessThanOrEqual(1);
      expect((await draft.log('start')).length).toBeLessThanOrEqual(1);
      const ends = [
        ...(await draft.log('sent')),
        ...(await draft.log('dropped')),
        ...(await draft.log('cancel')),
      ];
      expect(ends).toHaveLength((await draft.log('start')).length);
      expect([...draft.jobs.keys()]).toEqual([]);
      expect((await draft.droplet()).slots.get(0)?.start).toBeUndefined();
    }),
  );
});

type Happening =
  | { what: 'exit'; instance: string; reason: ExitReason }
  | { what: 'hear'; instances: Record<string, string> }
  | { what: 'update' }
  | { what: 'look' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({
    what: fc.constant('exit' as const),
    instance: fc.constantFrom('i0', 'i0', 'i1', 'i2'),
    reason: fc.constantFrom('CRASHED', 'CRASHED', 'DEA_EVACUATION', 'DEA_SHUTDOWN', 'STOPPED'),
  }),
  fc.record({
    what: fc.constant('hear' as const),
    instances: fc.dictionary(
      fc.constantFrom('i0', 'i1'),
      fc.constantFrom('RUNNING', 'STARTING', 'EVACUATING'),
    ),
  }),
  fc.constant({ what: 'update' as const }),
  fc.constant({ what: 'look' as const }),
  fc.constant({ what: 'look' as const }),
);

test('whatever happens in whatever order: one start on its way at most, each sent at most once, none forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(happening, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
      (rounds, order) =>
        inScene(2, async (draft) => {
          let at = 0;
          const choose: Choose = (of) => (order[at++ % order.length] as number) % of;
          for (const round of rounds) {
            for (const one of round) {
              draft.taken.push(JSON.stringify(one));
              if (one.what === 'exit') draft.exit(one.instance, one.reason);
              else if (one.what === 'hear') draft.hear(one.instances);
              else if (one.what === 'update') draft.update();
              else draft.look();
            }
            await draft.takeAll(choose);
            draft.clock.advance(100);
          }
          await ticks(draft, choose);

          const ids = draft.published.map(({ id }) => id);
          expect(new Set(ids).size, 'each decision is sent once').toBe(ids.length);
          expect((await draft.log('sent')).map(({ id }) => id).sort()).toEqual([...ids].sort());
          const decided = [...(await draft.log('start')), ...(await draft.log('stop'))].map(({ id }) => id);
          expect([...draft.decided].sort()).toEqual(decided.sort());
          // What waits is in a queue, and nothing else is.
          const { slots, stops, outcomes } = await draft.droplet();
          const start = slots.get(0)?.start;
          const waiting = [...stops.values()].filter(({ held }) => held === undefined).map(({ id }) => id);
          if (start !== undefined) waiting.push(start.id);
          expect([...draft.jobs.keys()].sort()).toEqual(waiting.filter((id) => !outcomes.has(id)).sort());
        }),
    ),
    inputs(200),
  );
});
