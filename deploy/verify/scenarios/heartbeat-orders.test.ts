import fc from 'fast-check';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { analyzerMetrics } from '../../../analyzer/metrics.ts';
import type { Enqueuer } from '../../../analyzer/reconcile/enqueue.ts';
import { Reconciler } from '../../../analyzer/reconcile/reconciler.ts';
import type { Heartbeat } from '../../../common/messages/incoming/incoming.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { createKeys } from '../../../common/redis/keys.ts';
import { decodeDroplet, encodeHeartbeatEntry } from '../../../common/redis/records/record-codec.ts';
import { SETTINGS } from '../../../common/testing/builders.ts';
import { useRedis } from '../../../common/testing/context.ts';
import { exploreInterleavings, Steps } from '../../../common/testing/interleavings.ts';
import { inputs } from '../../../common/testing/property-seed.ts';
import { storeChangedHeartbeat } from '../../../ingest/heartbeats/storing/store-changed.ts';
import { storeExit } from '../../../ingest/store-events.ts';

/*
 * Several ingestors store heartbeats of one DEA at the same time. Each works in steps: begin, one write for each slice in
 * any order, finish. An ingestor may die at any step, or stop there and continue after all others are done. An exit of an
 * instance, and an analyzer that reads and commits, may come between any two steps.
 *
 * Let A be received before B. These are the possible orders, and why each one ends with the right records:
 *
 * - B begins before A does: A is stale and writes nothing.
 * - A finishes before B begins: B writes its difference to A.
 * - A begins, B begins, and A continues or never does. A's finish finds another time and writes nothing, so the digest is
 *   B's or absent. B's begin returned A's list, so B writes all droplets of A, of B and of the list before them, each with
 *   a fence. A write of A after B's at the same droplet finds the fence; one before is overwritten. A writes no other
 *   droplet. The same holds if A lists nothing.
 * - A and B begin, and both die before they finish: the digest stays absent. So the next heartbeat is stored even if it
 *   equals A, B or the one before them, and `writing` names both lists.
 * - A dies unfinished, B finishes and clears `writing`, C writes its difference, and only then A's writes arrive: they find
 *   the fence that B left, because B wrote every droplet that A could write.
 * - A and B were received at about the same time, so they have no order, and one may list a single instance only. The one that
 *   is begun second waits until the first is finished, and is stored after it. What either lists is seen.
 * - An exit has a field of its own that no heartbeat writes. It ends the instance whenever it arrives.
 * - A commit of an analyzer applies only to the revision that was read, and never stores an instance that is listed.
 */

const DEA = 'dea-1';
const OTHER_DEA = 'dea-2';
const redisOf = useRedis();

/** The instances of a heartbeat, with their states. */
type List = Readonly<Record<string, string>>;

/** The droplets of the test. An instance is named after its droplet: `x0` and `x1` are instances of `x`. */
const DROPLETS = ['x', 'y', 'z'];
const dropletOf = (instance: string) => instance.slice(0, 1);

function heartbeat(list: List, dea = DEA): Heartbeat {
  const entries = Object.entries(list).map(([instance, state]) => ({
    droplet: dropletOf(instance),
    version: 'v',
    instance: dea === DEA ? instance : `${instance}-${dea}`,
    index: Number(instance.slice(1)),
    state,
    stateTimestampS: 1,
  }));
  return { dea, entries, rejected: [] };
}

const digestOf = (list: List) => JSON.stringify(Object.entries(list).sort());
const LOST = 30_000;
const store = (redis: RedisConnections, list: List, receivedMs: number, dea = DEA) =>
  storeChangedHeartbeat(redis, LOST, heartbeat(list, dea), {
    ...{ digest: digestOf(list), receivedMs, earliestMs: receivedMs },
  });

type Lie = 'as it is' | 'at another index' | 'with another version';

/** The heartbeat of a DEA that lists the instance `x0` of the DEA under test. */
function storeLie(redis: RedisConnections, lie: Lie, receivedMs: number) {
  const [entry] = heartbeat({ x0: 'RUNNING' }).entries as [Heartbeat['entries'][number]];
  if (lie === 'at another index') entry.index++;
  if (lie === 'with another version') entry.version = 'made up';
  const lying = { dea: OTHER_DEA, entries: [entry], rejected: [] };
  return storeChangedHeartbeat(redis, LOST, lying, { digest: lie, receivedMs, earliestMs: receivedMs });
}

let runs = 0;
/** Connections for one run: keys of its own, and one write for each slice, as in a cluster. */
function freshRedis(slices: number): RedisConnections {
  return { ...redisOf.context.redis, keys: createKeys(`run${runs++}`, slices), isCluster: true };
}

/** The records of the DEA's instances match the heartbeat exactly. */
async function expectExactRecords(redis: RedisConnections, list: List): Promise<void> {
  const { client, keys } = redis;
  const hashes = await Promise.all(
    DROPLETS.map((id) => client.call('HGETALL', keys.droplet(id)) as Promise<string[]>),
  );
  const indexed = await Promise.all(DROPLETS.map((id) => client.hexists(keys.indexOf(id), id)));
  const listed: Record<string, string> = {};
  const gone: string[] = [];
  DROPLETS.forEach((id, at) => {
    const droplet = decodeDroplet(id, hashes[at] as string[]);
    if (droplet === undefined) return;
    expect(droplet.rev > 0 && droplet.firstSeenMs > 0 && indexed[at] === 1, `${id} is complete`).toBe(true);
    for (const instance of droplet.instances) {
      if (instance.dea !== DEA) continue;
      if (instance.lastListedMs === undefined)
        listed[instance.guid] = encodeHeartbeatEntry(instance, instance.dea);
      else gone.push(instance.guid);
    }
  });
  const expected = Object.fromEntries(
    heartbeat(list).entries.map((entry) => [entry.instance, encodeHeartbeatEntry(entry, DEA)]),
  );
  expect(listed).toEqual(expected);
  expect(gone.filter((guid) => guid in list)).toEqual([]);
}

/** If a digest is stored, the records match the list that it stands for. */
async function expectDigestMatches(redis: RedisConnections, lists: List[]): Promise<void> {
  const digest = await redis.client.hget(redis.keys.deasDigest, DEA);
  if (digest === null) return;
  const list = lists.find((one) => digestOf(one) === digest);
  expect(list).toBeDefined();
  await expectExactRecords(redis, list as List);
}

interface Plan {
  slices: number;
  /** Stored before all else, without interruption. */
  base: List;
  /** Heartbeats of the DEA under test, in the order in which they were received. */
  inFlight: { list: List; stopsAfter: number }[];
  /** Received and stored last. */
  newest: List;
  /** The instance that exits meanwhile. */
  exits?: string;
  /** The droplet that is reconciled meanwhile. */
  reconciles?: string;
  /** The heartbeat of another DEA meanwhile. */
  other?: List;
  /** Another DEA lists `x0` of the base, as it is or changed. */
  lie?: Lie;
  /** The order of the steps after the newest heartbeat. */
  late: 'in order' | 'in any order';
}

type Choose = (of: number) => number;

/** One run: the tasks in the order that `choose` gives, then the newest heartbeat, then the late steps. */
async function run(plan: Plan, choose: Choose): Promise<void> {
  const taken: string[] = [];
  try {
    await runSteps(plan, choose, taken);
  } catch (cause) {
    throw new Error(`${JSON.stringify(plan)}\n${taken.join('\n')}\n${cause}`, { cause });
  }
}

async function runSteps(plan: Plan, choose: Choose, taken: string[]): Promise<void> {
  const redis = freshRedis(plan.slices);
  await store(redis, plan.base, 1000);

  const steps = new Steps(redis);
  const left = new Map<string, number>();
  plan.inFlight.forEach(({ list, stopsAfter }, at) => {
    left.set(`heartbeat ${at}`, stopsAfter);
    void steps.task(`heartbeat ${at}`, (gated) => store(gated, list, 11_000 + 5000 * at));
  });
  const nowMs = 31_000;
  if (plan.exits !== undefined) {
    const exited = {
      droplet: dropletOf(plan.exits),
      instance: plan.exits,
      version: 'v',
      index: 0,
      reason: 'CRASHED',
      crashTimestampS: 1,
    } as const;
    void steps.task('exit', (gated) => storeExit(gated, { nowMs: () => nowMs }, exited, SETTINGS));
  }
  const { reconciles, other } = plan;
  if (reconciles !== undefined) void steps.task('reconcile', (gated) => reconcile(gated, reconciles, nowMs));
  const { lie } = plan;
  if (lie !== undefined) void steps.task('liar', (gated) => storeLie(gated, lie, 12_000));
  if (other !== undefined) void steps.task('other', (gated) => store(gated, other, 12_000, OTHER_DEA));

  const runAll = async (next: Choose, may: (task: string) => boolean) => {
    for (;;) {
      const ready = (await steps.ready()).filter((step) => may(step.task));
      if (ready.length === 0) return;
      const step = ready[ready.length === 1 ? 0 : next(ready.length)];
      if (step === undefined) throw new Error('no such step');
      taken.push(`${step.task}: ${step.name}`);
      left.set(step.task, (left.get(step.task) ?? Number.POSITIVE_INFINITY) - 1);
      await steps.take(step);
    }
  };
  const lists = [plan.base, ...plan.inFlight.map(({ list }) => list), plan.newest];
  await runAll(choose, (task) => left.get(task) !== 0);
  await expectDigestMatches(redis, lists);
  taken.push('the newest heartbeat');
  await store(redis, plan.newest, nowMs);
  await expectExactRecords(redis, plan.newest);
  await runAll(plan.late === 'in any order' ? choose : () => 0, () => true);
  await steps.results();
  await expectExactRecords(redis, plan.newest);
  await expectDigestMatches(redis, lists);
  expect(await redis.client.hget(redis.keys.deasDigest, DEA)).toBe(digestOf(plan.newest));
  if (plan.reconciles === undefined) await expectAllDue(redis);
  if (plan.exits !== undefined) {
    const exits = await redis.client.hkeys(redis.keys.droplet(dropletOf(plan.exits)));
    expect(exits).toContain(`exit:${plan.exits}`);
  }
}

/** Nothing was reconciled yet, so every record that was written is due. */
async function expectAllDue({ client, keys }: RedisConnections): Promise<void> {
  const [records, due] = await Promise.all([
    Promise.all(DROPLETS.map((id) => client.exists(keys.droplet(id)))),
    Promise.all(DROPLETS.map((id) => client.zscore(keys.due(keys.sliceOf(id)), id))),
  ]);
  DROPLETS.forEach((_, at) => void expect(due[at] !== null).toBe(records[at] === 1));
}

/** The work of an analyzer: read, decide and commit, and repeat if the record changed meanwhile. */
async function reconcile(redis: RedisConnections, id: string, nowMs: number): Promise<void> {
  const { log, settings } = redisOf.context;
  const reconciler = new Reconciler({
    redis,
    clock: { nowMs: () => nowMs },
    log,
    metrics: analyzerMetrics(new Registry()),
    policy: settings.policy,
    enqueuer: { enqueue: async () => undefined } as unknown as Enqueuer,
  });
  await reconciler.reconcile([id]);
}

const EMPTY: List = {};
const X: List = { x0: 'RUNNING' };
const X_STARTING: List = { x0: 'STARTING' };
const X_TWICE: List = { x0: 'RUNNING', x1: 'RUNNING' };
const Y: List = { y0: 'RUNNING' };
const XY: List = { x0: 'RUNNING', y0: 'RUNNING' };

test.each<[name: string, plan: Omit<Plan, 'inFlight' | 'late'> & { older: List; newer: List }]>([
  ['an empty list before an equal one', { slices: 1, base: X, older: EMPTY, newer: X, newest: X }],
  ['two empty lists', { slices: 1, base: XY, older: EMPTY, newer: EMPTY, newest: XY }],
  ['one droplet replaces another', { slices: 1, base: XY, older: X, newer: Y, newest: XY }],
  ['a droplet that only the older one lists', { slices: 1, base: EMPTY, older: Y, newer: X, newest: X }],
  ['an instance that changes', { slices: 1, base: X, older: X_STARTING, newer: X_TWICE, newest: X_STARTING }],
  ['an exit', { slices: 1, base: X, older: X_TWICE, newer: X, newest: X_TWICE, exits: 'x0' }],
  [
    'an exit before the first heartbeat',
    { slices: 1, base: EMPTY, older: X, newer: EMPTY, newest: X, exits: 'x0' },
  ],
  ['writes in two slices', { slices: 2, base: XY, older: EMPTY, newer: X, newest: XY }],
])(
  'two heartbeats in every order, each of which may stop at any step: %s',
  async (_, { older, newer, ...rest }) => {
    const plan = { ...rest, late: 'in order' } as const;
    // Each heartbeat may stop before or after each of its steps. The combinations run in parallel, for speed.
    const stops = Array.from({ length: plan.slices + 3 }, (_, steps) => steps);
    const ways = await Promise.all(
      stops.flatMap((first) =>
        stops.map((second) => {
          const inFlight = [
            { list: older, stopsAfter: first },
            { list: newer, stopsAfter: second },
          ];
          return exploreInterleavings((choose) => run({ ...plan, inFlight }, choose));
        }),
      ),
    );
    expect(ways.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(50);
  },
);

test('a heartbeat, an exit and a reconcile in every order', async () => {
  await exploreInterleavings(async (choose) => {
    const inFlight = [{ list: X, stopsAfter: 4 }];
    await run(
      { slices: 1, base: X_TWICE, inFlight, newest: X_TWICE, exits: 'x1', reconciles: 'x', late: 'in order' },
      choose,
    );
  });
});

test.each<Lie>(['as it is', 'at another index', 'with another version'])(
  'a heartbeat, a reconcile and a DEA that lists its instance %s, in every order',
  async (lie) => {
    await exploreInterleavings(async (choose) => {
      const inFlight = [{ list: X_TWICE, stopsAfter: 4 }];
      await run({ slices: 1, base: X, inFlight, newest: X, reconciles: 'x', lie, late: 'in order' }, choose);
    });
  },
);

test.each([1, 2])(
  'two heartbeats that were received at about the same time, in every order, with %d slices',
  async (slices) => {
    const apart = await exploreInterleavings(async (choose) => {
      const redis = freshRedis(slices);
      const heartbeats = [X_TWICE, { z0: 'RUNNING' }].map((list, at) => {
        const receivedMs = 11_000 + at;
        const raw = { digest: digestOf(list), receivedMs, earliestMs: receivedMs, mayWait: true };
        return (on: RedisConnections) => storeChangedHeartbeat(on, LOST, heartbeat(list), raw);
      });
      const steps = new Steps(redis);
      const stored = heartbeats.map((task, at) => steps.task(`heartbeat ${at}`, task));
      for (;;) {
        const ready = await steps.ready();
        if (ready.length === 0) break;
        await steps.take(ready[ready.length === 1 ? 0 : choose(ready.length)] as (typeof ready)[number]);
      }
      for (const [at, task] of heartbeats.entries())
        if ((await stored[at]) === 'unfinished') expect(await task(redis)).toMatchObject({ stale: false });
      const seen = (
        await Promise.all(['x', 'z'].map((id) => redis.client.hkeys(redis.keys.droplet(id))))
      ).flat();
      for (const instance of ['x0', 'x1', 'z0']) expect(seen.join(' ')).toContain(instance);
    });
    expect(apart).toBeGreaterThan(5);
  },
);

test('three heartbeats, another DEA, an exit and a reconcile in any order', async () => {
  const list: fc.Arbitrary<List> = fc
    .uniqueArray(fc.tuple(fc.constantFrom('x0', 'x1', 'y0', 'z0'), fc.constantFrom('RUNNING', 'CRASHED')), {
      selector: ([instance]) => instance,
    })
    .map((entries) => Object.fromEntries(entries));
  const plan: fc.Arbitrary<Plan> = fc.record({
    slices: fc.constantFrom(1, 2, 3),
    base: list,
    inFlight: fc.array(fc.record({ list, stopsAfter: fc.nat(6) }), { minLength: 3, maxLength: 3 }),
    newest: list,
    exits: fc.constantFrom('x0', 'y0'),
    reconciles: fc.constantFrom('x', 'y', 'z'),
    other: list,
    late: fc.constant('in any order' as const),
  });
  await fc.assert(
    fc.asyncProperty(plan, fc.array(fc.nat(), { minLength: 40, maxLength: 40 }), async (chosen, order) => {
      let at = 0;
      await run(chosen, (of) => (order[at++ % order.length] as number) % of);
    }),
    inputs(120),
  );
});
