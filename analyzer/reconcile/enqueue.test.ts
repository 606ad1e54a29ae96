import type { Job, Queue } from 'bullmq';
import { beforeAll, describe, expect, test } from 'vitest';
import { createDoneJobKeeper, openQueue, openWorker } from '../../common/queues/queues.ts';
import { instance } from '../../common/testing/builders.ts';
import { useRedis } from '../../common/testing/context.ts';
import type { Decision } from '../decide/decide.ts';
import type { StartDecision, StopDecision } from '../decide/decision.ts';
import { Enqueuer } from './enqueue.ts';

const of = useRedis();
let starts: Queue;
let restarts: Queue;
let stops: Queue;
let sync: Queue;
let enqueuer: Enqueuer;

beforeAll(() => {
  const { redis, lifecycle, log, clock } = of.context;
  starts = openQueue(redis, lifecycle, log, 'starts');
  restarts = openQueue(redis, lifecycle, log, 'restarts');
  stops = openQueue(redis, lifecycle, log, 'stops');
  sync = openQueue(redis, lifecycle, log, 'sync');
  enqueuer = new Enqueuer({ redis, clock, policy: { dropletLostMs: 30_000 }, starts, restarts, stops, sync });
});

const start = (id: string, more: Partial<StartDecision> = {}): StartDecision => ({
  kind: 'start',
  id,
  index: 2,
  version: 'v',
  reason: 'missing',
  priority: 'normal',
  queuePriority: 1000,
  ...more,
});
const restart = (id: string, dueMs: number) => start(id, { reason: 'flapping', priority: 'low', dueMs });
const stop = (id: string): StopDecision => ({
  kind: 'stop',
  id,
  instance: 'i1',
  index: 0,
  version: 'v',
  reason: 'duplicate',
});
const instances = [instance('i1', { dea: 'dea-7' })];
const enqueue = (decisions: Decision[], verifyJobs: (StartDecision | StopDecision)[] = []) =>
  enqueuer.enqueue([{ droplet: { id: 'app', instances }, decided: { decisions, verifyJobs } }]);
const idsOf = async (queue: Queue) => (await queue.getJobs()).map(({ id }) => id).sort();
const jobOf = async (queue: Queue, id: string): Promise<Job> => {
  const job = await queue.getJob(id);
  if (job === undefined) throw new Error(`no job ${id}`);
  return job;
};

describe('a decision becomes a job', () => {
  test('with the id of the decision, in the right queue', async () => {
    const { clock } = of.context;
    await enqueue([start('app.start-2.7-x'), restart('r1', clock.nowMs() + 60_000), stop('p1')]);
    expect([await idsOf(starts), await idsOf(restarts), await idsOf(stops)]).toEqual([
      ['app.start-2.7-x'],
      ['r1'],
      ['p1'],
    ]);
    const first = await jobOf(starts, 'app.start-2.7-x');
    expect(first.data).toEqual({
      id: 'app.start-2.7-x',
      droplet: 'app',
      index: 2,
      version: 'v',
      reason: 'missing',
    });
    expect(first.opts.priority).toBe(1000);
    const later = await jobOf(restarts, 'r1');
    expect([later.opts.delay, await later.isDelayed()]).toEqual([60_000, true]);
    expect((await jobOf(stops, 'p1')).name).toBe('duplicate: stop app/0 on dea-7');
    expect((await jobOf(stops, 'p1')).data).toEqual({
      id: 'p1',
      droplet: 'app',
      instance: 'i1',
      reason: 'duplicate',
    });
  });

  test('that carries the trace of its own reconcile, alone or among many', async () => {
    const { clock } = of.context;
    const evaluation = (droplet: string, ...decisions: Decision[]) => ({
      droplet: { id: droplet, instances: [] },
      decided: { decisions, verifyJobs: [] },
    });
    const first = evaluation('a', start('s1'), stop('p1'));
    const second = evaluation('b', start('s2'), restart('r1', clock.nowMs() + 60_000));
    const untraced = evaluation('c', start('s3'));
    const trace = (metadata: string) => ({ telemetry: { metadata } });
    await enqueuer.enqueue(
      [first, second, untraced],
      new Map([
        [first, trace('one')],
        [second, trace('two')],
      ]),
    );
    const carried = async (queue: Queue, id: string) => (await jobOf(queue, id)).opts.telemetry?.metadata;
    expect([await carried(starts, 's1'), await carried(stops, 'p1')]).toEqual(['one', 'one']);
    expect([await carried(starts, 's2'), await carried(restarts, 'r1')]).toEqual(['two', 'two']);
    expect(await carried(starts, 's3')).toBeUndefined();
  });

  test('once, however often it is enqueued', async () => {
    for (let time = 0; time < 3; time++) await enqueue([start('s1')], [start('s1'), stop('p1')]);
    expect([await idsOf(starts), await idsOf(stops)]).toEqual([['s1'], ['p1']]);
  });

  test('lower queue priorities are first', async () => {
    await enqueue([
      start('low', { queuePriority: 3000 }),
      start('high', { queuePriority: 10 }),
      start('normal', { queuePriority: 1500 }),
    ]);
    expect((await starts.getPrioritized()).map(({ id }) => id)).toEqual(['high', 'normal', 'low']);
  });

  test('a restart that is due has no delay', async () => {
    await enqueue([restart('r1', of.context.clock.nowMs() - 5)]);
    expect(await restarts.getJobCounts('delayed', 'waiting')).toEqual({ delayed: 0, waiting: 1 });
  });

  test('without decisions nothing is enqueued', async () => {
    await enqueue([]);
    await enqueuer.enqueue([]);
    expect(await idsOf(starts)).toEqual([]);
  });
});

describe('a waiting job', () => {
  test('is moved before the others by a raise', async () => {
    await enqueue([start('a', { queuePriority: 100 }), start('b', { queuePriority: 2000 })]);
    await enqueue([
      {
        kind: 'raise',
        id: 'b',
        index: 2,
        version: 'v',
        reason: 'evacuated',
        priority: 'high',
        queuePriority: 1,
      },
    ]);
    expect((await starts.getPrioritized()).map(({ id }) => id)).toEqual(['b', 'a']);
  });

  test('is removed by a cancel', async () => {
    const dueMs = of.context.clock.nowMs() + 1000;
    await enqueue([start('s1'), start('s2'), restart('r1', dueMs), stop('p1')]);
    await enqueue([
      { kind: 'cancel', what: 'start', id: 's1', index: 2, version: 'v', reason: 'missing', why: 'live' },
      { kind: 'cancel', what: 'start', id: 'r1', index: 2, version: 'v', reason: 'flapping', why: 'updated' },
      { kind: 'cancel', what: 'stop', id: 'p1', instance: 'i1', reason: 'duplicate', why: 'gone' },
    ]);
    expect([await idsOf(starts), await idsOf(restarts), await idsOf(stops)]).toEqual([['s2'], [], []]);
  });

  test('that is gone already is neither raised nor removed, without an error', async () => {
    await enqueue([
      {
        kind: 'raise',
        id: 'gone',
        index: 2,
        version: 'v',
        reason: 'evacuated',
        priority: 'high',
        queuePriority: 1,
      },
      { kind: 'cancel', what: 'start', id: 'gone', index: 2, version: 'v', reason: 'missing', why: 'live' },
    ]);
    expect(await idsOf(starts)).toEqual([]);
  });
});

describe('jobs are verified', () => {
  test('a lost job is added again', async () => {
    await enqueue([], [start('s1'), stop('p1'), restart('r1', of.context.clock.nowMs() - 1)]);
    expect([await idsOf(starts), await idsOf(restarts), await idsOf(stops)]).toEqual([
      ['s1'],
      ['r1'],
      ['p1'],
    ]);
  });

  test.each(['starts', 'stops', 'restarts'] as const)(
    'a completed job of %s whose decision is still pending is added again',
    async (name) => {
      const { redis, lifecycle, log, clock } = of.context;
      const queue = { starts, stops, restarts }[name];
      const decision = { starts: start('d1'), stops: stop('d1'), restarts: restart('d1', clock.nowMs() - 1) }[
        name
      ];
      await enqueue([decision]);
      const done: string[] = [];
      const worker = openWorker(redis, lifecycle, log, name, async (job) => {
        done.push(job.id as string);
        createDoneJobKeeper()(job);
      });
      await expect.poll(() => queue.getJobCounts('completed')).toEqual({ completed: 1 });
      await enqueue([], [decision]);
      await expect.poll(() => done).toEqual(['d1', 'd1']);
      await worker.close();
    },
  );

  test.each(['starts', 'stops', 'restarts'] as const)(
    'a job of %s that is in no list of its queue any more is added again',
    async (name) => {
      const { redis, clock } = of.context;
      const queue = { starts, stops, restarts }[name];
      const dueMs = clock.nowMs() - 1;
      const decision = { starts: start('d1'), stops: stop('d1'), restarts: restart('d1', dueMs) }[name];
      await enqueue([decision]);
      for (const list of ['wait', 'prioritized', 'delayed']) await redis.client.del(queue.toKey(list));
      expect(await idsOf(queue)).toEqual([]);
      await enqueue([], [decision]);
      expect(await idsOf(queue)).toEqual(['d1']);
    },
  );

  test('an existing job is not added again', async () => {
    const { client } = of.context.redis;
    await enqueue([start('s1'), stop('p1')]);
    const events = () => Promise.all([starts, stops].map((queue) => client.xlen(queue.toKey('events'))));
    const before = await events();
    await enqueue([], [start('s1'), stop('p1')]);
    expect(await events()).toEqual(before);
    expect([await idsOf(starts), await idsOf(stops)]).toEqual([['s1'], ['p1']]);
  });

  test('a due restart that a fast wall clock still delays is promoted', async () => {
    const dueMs = of.context.clock.nowMs() + 3_600_000;
    await enqueue([restart('r1', dueMs)]);
    await enqueue([], [restart('r1', dueMs)]);
    expect(await restarts.getJobCounts('delayed', 'waiting')).toEqual({ delayed: 1, waiting: 0 });
    of.context.clock.advance(3_600_000);
    for (let time = 0; time < 2; time++) await enqueue([], [restart('r1', dueMs)]);
    expect(await restarts.getJobCounts('delayed', 'waiting')).toEqual({ delayed: 0, waiting: 1 });
  });
});

describe('a bulk pass that a droplet needs', () => {
  const need = (...sinceMs: number[]) =>
    enqueuer.enqueue(
      sinceMs.map((passNeededSinceMs) => ({
        droplet: { id: 'app', instances },
        decided: { decisions: [], verifyJobs: [], passNeededSinceMs },
      })),
    );
  const requestedMs = async () => {
    const { client, keys } = of.context.redis;
    return Number(await client.hget(keys.syncState, 'requested'));
  };

  test('is requested once for all droplets, and not while it is requested already', async () => {
    const { clock } = of.context;
    await need(clock.nowMs() - 5000, clock.nowMs());
    const first = await requestedMs();
    expect(first).toBe(clock.nowMs());
    expect(await sync.getJobCounts('waiting')).toEqual({ waiting: 1 });
    clock.advance(1000);
    await need(first - 5000, first);
    expect(await requestedMs()).toBe(first);
    await need(first + 1);
    expect(await requestedMs()).toBe(first + 1000);
  });
});

test('a given-up and an unplaced slot are reported to webhooks once stored', async () => {
  const { redis, clock } = of.context;
  const reported: object[] = [];
  const webhooks = { add: (about: object) => void reported.push(about) };
  const policy = { dropletLostMs: 30_000 };
  const reporting = new Enqueuer({ redis, clock, policy, starts, restarts, stops, sync, webhooks });
  const slot = { index: 2, version: 'v' };
  const decisions: Decision[] = [
    { kind: 'giveup', id: 'g1', ...slot, crashes: 5 },
    { kind: 'unplaced', id: 'u1', ...slot, attempts: 3 },
    start('s-web'),
  ];
  await reporting.enqueue([{ droplet: { id: 'app', instances }, decided: { decisions, verifyJobs: [] } }]);
  expect(reported).toEqual([
    {
      ...{ id: 'g1', event: 'given_up', atMs: clock.nowMs(), droplet: 'app', ...slot, crashes: 5 },
      text: 'app: index 2 is given up after 5 crashes',
    },
    {
      ...{ id: 'u1', event: 'unplaced', atMs: clock.nowMs(), droplet: 'app', ...slot, attempts: 3 },
      text: 'app: index 2 is unplaced: 3 starts in a row had no effect',
    },
  ]);
  await enqueue(decisions); // without a webhook in the configuration
});
