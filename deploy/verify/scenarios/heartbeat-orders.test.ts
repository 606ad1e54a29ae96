import fc from 'fast-check';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { analyzerMetrics } from '../../../analyzer/metrics.ts';
import type { Enqueuer } from '../../../analyzer/reconcile/enqueue.ts';
import { Reconciler } from '../../../analyzer/reconcile/reconciler.ts';
import type { Heartbeat } from '../../../common/messages/incoming.ts';
import type { RedisConnections } from '../../../common/redis/connections.ts';
import { createKeys } from '../../../common/redis/keys.ts';
import { decodeDroplet, encodeHeartbeatEntry } from '../../../common/redis/record-codec.ts';
import { SETTINGS } from '../../../common/testing/builders.ts';
import { useRedis } from '../../../common/testing/context.ts';
import { everyWay, Steps } from '../../../common/testing/interleavings.ts';
import { inputs } from '../../../common/testing/property-seed.ts';
import { storeChangedHeartbeat } from '../../../ingest/heartbeats/store-changed.ts';
import { storeExit } from '../../../ingest/store-events.ts';

/*
 * Several ingestors store heartbeats of one DEA at once, each in steps: begin, a write for each slice (in any
 * order), finish. Any of them may end at any point, or stand still there and go on when all others are done. An
 * exit of an instance, and an analyzer that reads and commits, come in between.
 *
 * Say A is received before B. The orders that are possible, and why each ends right:
 *
 * - B begins before A does: A is stale and does nothing.
 * - A finishes before B begins: one after the other, B by its difference to A.
 * - A begins, B begins, and A goes on or never does: A's finish finds another time and does nothing, so the digest
 *   is B's or none. B was told what A lists and writes all droplets of A, of itself and of the list before them,
 *   each with a fence; a write of A that comes after B's at the same droplet finds the fence, one that comes before
 *   is overwritten. No other droplet is ever written by A. It is the same if A lists nothing at all.
 * - A and B begin and both end before their finish: the digest stays away, so the next heartbeat, though it be
 *   equal to A, B or the one before them, is stored, and knows of both by `writing`.
 * - A ended unfinished, B finishes (and forgets `writing`), C comes by its difference, and only then A's writes:
 *   they find the fence that B left, for B wrote every droplet that A could.
 * - An exit is a field of its own, which no heartbeat writes; it ends the instance whenever it comes.
 * - A commit of an analyzer stores only on the revision that was read, and never an instance that is listed.
 */

const DEA = 'dea-1';
const OTHER_DEA = 'dea-2';
const redisOf = useRedis();

/** What a heartbeat lists: instance -> state. */
type List = Readonly<Record<string, string>>;

/** Instances of the test live on these droplets: `x0` and `x1` on `x`. */
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
  storeChangedHeartbeat(redis, LOST, heartbeat(list, dea), { digest: digestOf(list), receivedMs });

let runs = 0;
/** Redis as it is for one run: with keys of its own, and each slice written by itself, as in a cluster. */
function freshRedis(slices: number): RedisConnections {
  return { ...redisOf.context.redis, keys: createKeys(`run${runs++}`, slices), isCluster: true };
}

/** The records say of the DEA exactly what the heartbeat lists. */
async function expectExact(redis: RedisConnections, list: List): Promise<void> {
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
    expect(droplet.rev > 0 && droplet.firstSeenMs > 0 && indexed[at] === 1, `${id} is whole`).toBe(true);
    for (const instance of droplet.instances) {
      if (instance.dea !== DEA) continue;
      if (instance.lastListedMs === undefined) listed[instance.guid] = encodeHeartbeatEntry(instance);
      else gone.push(instance.guid);
    }
  });
  const expected = Object.fromEntries(
    heartbeat(list).entries.map((entry) => [entry.instance, encodeHeartbeatEntry({ ...entry, dea: DEA })]),
  );
  expect(listed).toEqual(expected);
  expect(gone.filter((guid) => guid in list)).toEqual([]);
}

/** Whoever finds the digest may rely on the records. */
async function expectDigestTells(redis: RedisConnections, lists: List[]): Promise<void> {
  const digest = await redis.client.hget(redis.keys.deasDigest, DEA);
  if (digest === null) return;
  const list = lists.find((one) => digestOf(one) === digest);
  expect(list).toBeDefined();
  await expectExact(redis, list as List);
}

interface Plan {
  slices: number;
  /** Stored whole before all else. */
  base: List;
  /** Of the one DEA, in the order in which they were received. */
  inFlight: { list: List; stopsAfter: number }[];
  /** Received and stored last. */
  newest: List;
  /** Instance that exits meanwhile. */
  exits?: string;
  /** A droplet that is looked at meanwhile. */
  looks?: string;
  /** What another DEA says meanwhile. */
  other?: List;
  /** Steps that come after the newest heartbeat. */
  late: 'in order' | 'in any order';
}

type Choose = (of: number) => number;

/** One run: tasks in the order that `choose` gives, then the newest heartbeat, then what comes late. */
async function run(plan: Plan, choose: Choose): Promise<void> {
  const taken: string[] = [];
  try {
    await runThrough(plan, choose, taken);
  } catch (cause) {
    throw new Error(`${JSON.stringify(plan)}\n${taken.join('\n')}\n${cause}`, { cause });
  }
}

async function runThrough(plan: Plan, choose: Choose, taken: string[]): Promise<void> {
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
  const { looks, other } = plan;
  if (looks !== undefined) void steps.task('look', (gated) => lookAt(gated, looks, nowMs));
  if (other !== undefined) void steps.task('other', (gated) => store(gated, other, 12_000, OTHER_DEA));

  const takeAll = async (next: Choose, may: (task: string) => boolean) => {
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
  await takeAll(choose, (task) => left.get(task) !== 0);
  await expectDigestTells(redis, lists);
  taken.push('the newest heartbeat');
  await store(redis, plan.newest, nowMs);
  await expectExact(redis, plan.newest);
  await takeAll(plan.late === 'in any order' ? choose : () => 0, () => true);
  await steps.results();
  await expectExact(redis, plan.newest);
  await expectDigestTells(redis, lists);
  expect(await redis.client.hget(redis.keys.deasDigest, DEA)).toBe(digestOf(plan.newest));
  if (plan.looks === undefined) await expectAllDue(redis);
  if (plan.exits !== undefined) {
    const exits = await redis.client.hkeys(redis.keys.droplet(dropletOf(plan.exits)));
    expect(exits).toContain(`exit:${plan.exits}`);
  }
}

/** Nobody has looked yet, so every record that was written waits for it. */
async function expectAllDue({ client, keys }: RedisConnections): Promise<void> {
  const [records, due] = await Promise.all([
    Promise.all(DROPLETS.map((id) => client.exists(keys.droplet(id)))),
    Promise.all(DROPLETS.map((id) => client.zscore(keys.due(keys.sliceOf(id)), id))),
  ]);
  DROPLETS.forEach((_, at) => void expect(due[at] !== null).toBe(records[at] === 1));
}

/** What an analyzer does: read, decide, commit; and again if the record changed meanwhile. */
async function lookAt(redis: RedisConnections, id: string, nowMs: number): Promise<void> {
  const { log, settings } = redisOf.context;
  const looker = new Reconciler({
    redis,
    clock: { nowMs: () => nowMs },
    log,
    metrics: analyzerMetrics(new Registry()),
    policy: settings.policy,
    enqueuer: { enqueue: async () => undefined } as unknown as Enqueuer,
  });
  await looker.reconcile([id]);
}

const EMPTY: List = {};
const X: List = { x0: 'RUNNING' };
const X_STARTING: List = { x0: 'STARTING' };
const X_TWICE: List = { x0: 'RUNNING', x1: 'RUNNING' };
const Y: List = { y0: 'RUNNING' };
const XY: List = { x0: 'RUNNING', y0: 'RUNNING' };

test.each<[name: string, plan: Omit<Plan, 'inFlight' | 'late'> & { older: List; newer: List }]>([
  ['an empty one that equals none', { slices: 1, base: X, older: EMPTY, newer: X, newest: X }],
  ['two empty ones', { slices: 1, base: XY, older: EMPTY, newer: EMPTY, newest: XY }],
  ['one goes, one comes', { slices: 1, base: XY, older: X, newer: Y, newest: XY }],
  ['a droplet that nobody else lists', { slices: 1, base: EMPTY, older: Y, newer: X, newest: X }],
  ['an instance that changes', { slices: 1, base: X, older: X_STARTING, newer: X_TWICE, newest: X_STARTING }],
  ['an exit', { slices: 1, base: X, older: X_TWICE, newer: X, newest: X_TWICE, exits: 'x0' }],
  [
    'an exit before the instance is heard',
    { slices: 1, base: EMPTY, older: X, newer: EMPTY, newest: X, exits: 'x0' },
  ],
  ['writes in two slices', { slices: 2, base: XY, older: EMPTY, newer: X, newest: XY }],
])('two heartbeats in every order, each ending anywhere: %s', async (_, { older, newer, ...rest }) => {
  const plan = { ...rest, late: 'in order' } as const;
  // Begin, a write for each slice, finish; and the ends in between. Side by side, for speed.
  const ends = Array.from({ length: plan.slices + 3 }, (_, steps) => steps);
  const ways = await Promise.all(
    ends.flatMap((first) =>
      ends.map((second) => {
        const inFlight = [
          { list: older, stopsAfter: first },
          { list: newer, stopsAfter: second },
        ];
        return everyWay((choose) => run({ ...plan, inFlight }, choose));
      }),
    ),
  );
  expect(ways.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(50);
});

test('a heartbeat, an exit and a look in every order', async () => {
  await everyWay(async (choose) => {
    const inFlight = [{ list: X, stopsAfter: 4 }];
    await run(
      { slices: 1, base: X_TWICE, inFlight, newest: X_TWICE, exits: 'x1', looks: 'x', late: 'in order' },
      choose,
    );
  });
});

test('three heartbeats, another DEA, an exit and a look in any order', async () => {
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
    looks: fc.constantFrom('x', 'y', 'z'),
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
