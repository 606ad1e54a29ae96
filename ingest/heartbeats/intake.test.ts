import { describe, expect, test } from 'vitest';
import { recordOf } from '../../common/testing/context.ts';
import { interceptScripts } from '../../common/testing/redis/scripts.ts';
import { startTestRedis } from '../../common/testing/redis/server.ts';
import {
  commandsOf,
  entry,
  heartbeatBytes,
  hundred,
  LOST_MS,
  useIntake,
} from '../../deploy/verify/fixtures/heartbeats.ts';

const fixture = useIntake();

describe('a heartbeat', () => {
  test('that is equal costs one script call, which touches no droplet', async () => {
    await fixture.receive('dea-1', ...hundred());
    await fixture.receive('dea-2', entry('other'));
    fixture.context.clock.advance(10_000);
    const commands = await commandsOf(fixture.context, async () => {
      fixture.intake.take(heartbeatBytes('dea-1', hundred()));
      fixture.intake.take(heartbeatBytes('dea-2', [entry('other')]));
      await fixture.intake.idle();
    });
    expect(commands.filter(({ by }) => by === 'client').map(({ args }) => args[0]?.toLowerCase())).toEqual([
      'evalsha',
    ]);
    const { keys } = fixture.context.redis;
    const touched = new Set(commands.filter(({ by }) => by === 'lua').map(({ args }) => args[1]));
    expect(touched).toEqual(
      new Set([keys.deasShutdown, keys.deasLastHeartbeat, keys.deasPreviousHeartbeat, keys.deasDigest]),
    );
    expect(await fixture.lastHeartbeatMs('dea-1')).toBe(fixture.context.clock.nowMs());
    expect(await fixture.counted('equal')).toBe(2);
  });

  test('that waited is stored with its receive time', async () => {
    const first = await fixture.receive('dea-1', entry('x'));
    const second = fixture.context.clock.advance(10_000);
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x')]));
    fixture.intake.take(heartbeatBytes('dea-2', [entry('y')]));
    fixture.context.clock.advance(25_000);
    await fixture.intake.idle();
    expect([await fixture.lastHeartbeatMs('dea-1'), await fixture.lastHeartbeatMs('dea-2')]).toEqual([
      second,
      second,
    ]);
    expect((await fixture.instance('y', 'y-0'))?.firstListedMs).toBe(second);
    expect(
      await fixture.context.redis.client.zscore(fixture.context.redis.keys.deasPreviousHeartbeat, 'dea-1'),
    ).toBe(`${first}`);
  });

  test('that waits is replaced by a newer one of its DEA', async () => {
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x', 'old')]));
    fixture.intake.take(heartbeatBytes('dea-2', [entry('y')]));
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x', 'newer')]));
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x', 'newest')]));
    await fixture.intake.idle();
    expect((await fixture.droplet('x')).instances.map(({ guid }) => guid)).toEqual(['newest']);
    expect((await fixture.droplet('y')).instances).toHaveLength(1);
    expect([await fixture.counted('received'), await fixture.counted('coalesced')]).toEqual([4, 2]);
  });

  test('that lists only a new instance does not replace the full list that waits', async () => {
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x', 'x-1'), entry('y', 'y-1'), entry('z', 'z-1')]));
    fixture.context.clock.advance(10);
    fixture.intake.take(heartbeatBytes('dea-1', [entry('new', 'new-1')]));
    await fixture.intake.idle();
    const nowMs = fixture.context.clock.nowMs();
    for (const [droplet, lastListedMs] of [
      ['x', nowMs - 10],
      ['y', nowMs - 10],
      ['new', undefined],
    ] as const)
      expect(await fixture.instance(droplet, `${droplet}-1`)).toMatchObject({
        dea: 'dea-1',
        ...(lastListedMs && { lastListedMs }),
      });
    expect(await fixture.counted('coalesced')).toBe(0);
  });

  test('that replaces a waiting one keeps the age of the backlog', async () => {
    expect(fixture.intake.backlogAgeMs()).toBe(0);
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x', 'old')]));
    fixture.context.clock.advance(10_000);
    fixture.intake.take(heartbeatBytes('dea-2', [entry('y')]));
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x', 'new')]));
    fixture.context.clock.advance(1_000);
    expect(fixture.intake.backlogAgeMs()).toBe(11_000);
    const stored = fixture.intake.idle();
    fixture.context.clock.advance(1_000);
    expect(fixture.intake.backlogAgeMs()).toBe(12_000);
    await stored;
    expect(fixture.intake.backlogAgeMs()).toBe(0);
  });

  test('that waited in the socket adds that time to the backlog, changed or equal', async () => {
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x')]), 90);
    expect(fixture.intake.backlogAgeMs()).toBe(90);
    await fixture.intake.idle();
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x')]), 80);
    expect(fixture.intake.backlogAgeMs()).toBe(80);
    await fixture.intake.idle();
    expect(fixture.intake.backlogAgeMs()).toBe(0);
  });

  test('that is equal does not wait for changed ones of other DEAs', async () => {
    await fixture.receive('dea-1', entry('x'));
    const { context } = fixture;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const restore = interceptScripts(context.redis, ['store_whole_heartbeat'], async (run) => {
      await held;
      return run();
    });
    const firstMs = context.clock.advance(10_000);
    fixture.intake.take(heartbeatBytes('dea-2', [entry('y', 'old')]));
    await expect.poll(() => fixture.lastHeartbeatMs('dea-2')).toBe(firstMs);
    const secondMs = context.clock.advance(10_000);
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x')]));
    fixture.intake.take(heartbeatBytes('dea-2', [entry('y', 'newer')]));
    await expect.poll(() => fixture.lastHeartbeatMs('dea-1')).toBe(secondMs);
    fixture.intake.take(heartbeatBytes('dea-2', [entry('y', 'newest')]));
    context.clock.advance(5_000);
    expect(fixture.intake.backlogAgeMs()).toBe(15_000);

    release();
    await fixture.intake.idle();
    restore();
    expect(fixture.intake.backlogAgeMs()).toBe(0);
    const listed = (await fixture.droplet('y')).instances.filter(
      ({ lastListedMs }) => lastListedMs === undefined,
    );
    expect(listed.map(({ guid }) => guid)).toEqual(['newest']);
    const counts = await Promise.all(['received', 'equal', 'changed', 'coalesced'].map(fixture.counted));
    expect(counts).toEqual([5, 1, 3, 1]);
  });

  test('that arrives while another is being stored is stored after it', async () => {
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x', 'old')]));
    const first = fixture.intake.idle();
    fixture.context.clock.advance(1);
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x', 'new')]));
    await first;
    await fixture.intake.idle();
    const listed = (await fixture.droplet('x')).instances.filter(
      ({ lastListedMs }) => lastListedMs === undefined,
    );
    expect(listed.map(({ guid }) => guid)).toEqual(['new']);
  });

  test.each([
    ['waits for Redis', ['begin_heartbeat']],
    ['is compared with the first', ['touch_deas', 'begin_heartbeat']],
  ] as const)('that equals the first of two is stored after the second, which %s', async (_, held) => {
    const { context, intake } = fixture;
    await fixture.receive('dea-1', entry('x', 'first'));
    const releases: (() => void)[] = [];
    const restore = interceptScripts(context.redis, held, async (run) => {
      await new Promise<void>((resolve) => releases.push(resolve));
      return run();
    });
    context.clock.advance(500);
    intake.take(heartbeatBytes('dea-1', [entry('x', 'second')]));
    await expect.poll(() => releases.length).toBe(1);
    context.clock.advance(500);
    intake.take(heartbeatBytes('dea-1', [entry('x', 'first')]));
    const idle = intake.idle();
    if (held.length === 2) {
      releases.shift()?.();
      await expect.poll(() => releases.length).toBeGreaterThan(0);
    }
    // The last may have been compared with the first, and found equal.
    for (let i = 0; i < 3; i++) await context.redis.client.ping();
    restore();
    for (const release of releases.reverse()) release();
    await idle;
    const listed = (await fixture.droplet('x')).instances.filter(
      ({ lastListedMs }) => lastListedMs === undefined,
    );
    expect(listed.map(({ guid }) => guid)).toEqual(['first']);
  });

  test('is stored soon after it arrives, without a call of idle()', async () => {
    fixture.intake.take(heartbeatBytes('dea-1', [entry('x')]));
    await expect.poll(() => fixture.lastHeartbeatMs('dea-1')).toBe(fixture.context.clock.nowMs());
    await fixture.intake.idle();
  });
});

describe('an invalid', () => {
  test('entry of a heartbeat does not affect the others', async () => {
    await fixture.receive(
      'dea-1',
      entry('good'),
      entry('bad index', 'i', { index: -1 }),
      entry('bad index too', 'i', { index: '0' }),
      { droplet: 'nothing else' },
      null,
      17,
      entry('no state', 'i', { state: null }),
      entry('good too', 'i'),
    );
    expect((await fixture.droplet('good')).instances).toHaveLength(1);
    expect((await fixture.droplet('good too')).instances).toHaveLength(1);
    for (const id of ['bad index', 'bad index too', 'nothing else', 'no state']) {
      expect(await recordOf(fixture.context.redis, id)).toEqual({});
    }
    expect(Object.fromEntries(fixture.rejected.map(([reason, { entries }]) => [reason, entries]))).toEqual({
      index: 2,
      version: 1,
      entry: 2,
      state: 1,
    });
    expect(fixture.rejected.every(([, { dea }]) => dea === 'dea-1')).toBe(true);
  });

  test('heartbeat is rejected and changes nothing', async () => {
    for (const bad of [
      Buffer.from('no JSON'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from(''),
      heartbeatBytes('', []),
      heartbeatBytes(17, []),
      heartbeatBytes('dea-1', {}),
      heartbeatBytes('dea-1', undefined),
    ]) {
      fixture.intake.take(bad);
      await fixture.intake.idle();
    }
    expect(fixture.rejected).toHaveLength(7);
    expect(await fixture.context.redis.client.keys('hm:{fleet}:deas:*')).toEqual([]);
  });
});

describe('an entry', () => {
  test('of another partition is ignored', async () => {
    await fixture.receive(
      'dea-1',
      entry('ours'),
      entry('theirs', 'i', { cc_partition: 'other' }),
      entry('without', 'j', { cc_partition: undefined }),
    );
    expect(await recordOf(fixture.context.redis, 'theirs')).toEqual({});
    expect((await fixture.droplet('ours')).instances).toHaveLength(1);
    expect((await fixture.droplet('without')).instances).toHaveLength(1);
    expect(fixture.rejected).toEqual([]);
  });

  test('may have a number or __proto__ as its droplet id', async () => {
    await fixture.receive('dea-1', entry('x', 'i', { droplet: 17 }), entry('__proto__', 'constructor'));
    expect((await fixture.droplet('17')).instances).toHaveLength(1);
    expect((await fixture.droplet('__proto__')).instances).toMatchObject([{ guid: 'constructor' }]);
  });
});

describe('Redis that', () => {
  test('refuses the writes for one DEA does not affect the others, and its heartbeat waits', async () => {
    const { client, keys } = fixture.context.redis;
    await client.set(keys.deaList('dea-2'), 'not a hash');
    for (let n = 1; n <= 50; n++) fixture.intake.take(heartbeatBytes(`dea-${n}`, [entry(`app-${n}`)]));
    await expect.poll(() => client.hlen(keys.deasDigest)).toBe(49);
    expect(await client.hexists(keys.deasDigest, 'dea-2')).toBe(0);
    fixture.context.clock.advance(5_000);
    expect(fixture.intake.backlogAgeMs()).toBeGreaterThanOrEqual(5_000);
    await client.del(keys.deaList('dea-2'));
    await fixture.intake.idle();
    expect((await fixture.droplet('app-2')).instances).toHaveLength(1);
    expect([fixture.intake.backlogAgeMs(), fixture.intake.lostHeartbeats]).toEqual([0, 0]);
  });

  test('refuses the writes for one DEA for longer than any repair takes loses its heartbeat, which is known', async () => {
    const { client, keys } = fixture.context.redis;
    await client.set(keys.deaList('dea-2'), 'not a hash');
    fixture.context.lines.length = 0;
    fixture.intake.take(heartbeatBytes('dea-2', [entry('app-2')]));
    await expect
      .poll(() => fixture.context.lines.some(({ event }) => event === 'heartbeats_not_stored'))
      .toBe(true);
    fixture.context.clock.advance(20 * LOST_MS + 1);
    await fixture.intake.idle();
    expect([fixture.intake.backlogAgeMs(), fixture.intake.lostHeartbeats]).toEqual([0, 1]);
  });

  test('refuses every heartbeat keeps them waiting, since no DEA may count as silent', async () => {
    const { client, keys } = fixture.context.redis;
    await client.set(keys.deasDigest, 'not a hash');
    fixture.context.lines.length = 0;
    fixture.intake.take(heartbeatBytes('dea-1', [entry('app-1')]));
    await expect
      .poll(() => fixture.context.lines.some(({ event }) => event === 'heartbeats_not_stored'))
      .toBe(true);
    fixture.context.clock.advance(100 * LOST_MS);
    expect(fixture.intake.backlogAgeMs()).toBeGreaterThanOrEqual(100 * LOST_MS);
    await client.del(keys.deasDigest);
    await fixture.intake.idle();
    expect((await fixture.droplet('app-1')).instances).toHaveLength(1);
  });

  test('returns without its data gets everything from the next heartbeat', async () => {
    await fixture.receive('dea-1', ...hundred());
    const { port } = fixture.server;
    await fixture.server.stop();
    fixture.server = await startTestRedis(port);
    expect(await fixture.context.redis.client.dbsize()).toBe(0);
    fixture.context.clock.advance(10_000);
    const at = await fixture.receive('dea-1', ...hundred());
    expect(await fixture.droplet('app-99')).toMatchObject({
      rev: 1,
      firstSeenMs: at,
      instances: [{ guid: 'i-99' }],
    });
    expect(await fixture.context.redis.client.hlen(fixture.context.redis.keys.deasDigest)).toBe(1);
  });
});
