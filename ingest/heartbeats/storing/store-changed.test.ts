import { describe, expect, test } from 'vitest';
import { beginHeartbeat } from '../../../common/redis/scripts/heartbeats/begin-heartbeat.ts';
import { metricValue } from '../../../common/testing/context.ts';
import {
  commandsOf,
  entry,
  hundred,
  LOST_MS,
  useIntake,
} from '../../../deploy/verify/fixtures/heartbeats.ts';

const fixture = useIntake();

const clearDue = async () => {
  const { client } = fixture.context.redis;
  const lists = await client.keys('hm:{*}:due');
  if (lists.length > 0) await client.del(...lists);
};

describe('a heartbeat', () => {
  test('that is the first of its DEA stores every instance', async () => {
    const at = await fixture.receive('dea-1', ...hundred());
    const found = await fixture.droplet('app-42');
    expect(found).toMatchObject({
      rev: 1,
      firstSeenMs: at,
      instances: [
        {
          guid: 'i-42',
          index: 0,
          version: 'v1',
          state: 'RUNNING',
          stateTimestampS: 1_398_000_000,
          dea: 'dea-1',
          firstListedMs: at,
        },
      ],
    });
    expect(found.instances[0]).not.toHaveProperty('lastListedMs');
    expect(await fixture.lastHeartbeatMs('dea-1')).toBe(at);
    expect(await fixture.dueMs('app-42')).toBe(at);
    expect(await fixture.counted('changed')).toBe(1);
  });

  test('that differs writes only the droplets that differ', async () => {
    await fixture.receive('dea-1', ...hundred());
    fixture.context.clock.advance(10_000);
    const commands = await commandsOf(fixture.context, () => fixture.receive('dea-1', ...hundred(5)));
    const touched = new Set(
      commands.map(({ args }) => args[1] ?? '').filter((key) => key.includes(':droplet:')),
    );
    expect([...touched].sort()).toEqual(
      [0, 1, 2, 3, 4].map((n) => fixture.context.redis.keys.droplet(`app-${n}`)).sort(),
    );
    const revs = await Promise.all(
      hundred().map(async ({ droplet: id }) => (await fixture.droplet(String(id))).rev),
    );
    expect(revs.map((rev) => rev - 1)).toEqual(hundred().map((_, n) => (n < 5 ? 1 : 0)));
    expect((await fixture.instance('app-4', 'i-4'))?.state).toBe('CRASHED');
    expect(await metricValue(fixture.context.metrics, 'hm_droplets_changed_total')).toBe(105);
  });

  test('that lists the same instances in another order changes no record', async () => {
    await fixture.receive('dea-1', entry('x'), entry('y'));
    await fixture.receive('dea-1', entry('y'), entry('x'));
    expect((await fixture.droplet('x')).rev).toBe(1);
  });

  test('that no longer lists an instance stores when it was last listed', async () => {
    const first = await fixture.receive('dea-1', entry('x', 'i1'), entry('x', 'i2', { index: 1 }));
    fixture.context.clock.advance(10_000);
    const second = await fixture.receive('dea-1', entry('x', 'i1'), entry('x', 'i2', { index: 1 }));
    fixture.context.clock.advance(10_000);
    const third = await fixture.receive('dea-1', entry('x', 'i2', { index: 1 }));
    expect(await fixture.instance('x', 'i1')).toMatchObject({ firstListedMs: first, lastListedMs: second });
    expect(await fixture.instance('x', 'i2')).not.toHaveProperty('lastListedMs');
    expect(await fixture.dueMs('x')).toBe(third);
  });

  test('that is empty proves that its DEA is alive and runs nothing', async () => {
    const first = await fixture.receive('dea-1', entry('x', 'i1'));
    fixture.context.clock.advance(10_000);
    const second = await fixture.receive('dea-1');
    expect(await fixture.lastHeartbeatMs('dea-1')).toBe(second);
    expect(await fixture.instance('x', 'i1')).toMatchObject({ lastListedMs: first });
  });

  test('that is equal but follows a silence makes every droplet of its DEA due', async () => {
    await fixture.receive('dea-1', entry('x'), entry('y'));
    await clearDue();
    fixture.context.clock.advance(LOST_MS);
    await fixture.receive('dea-1', entry('x'), entry('y'));
    expect(await fixture.dueMs('x')).toBeUndefined();
    const back = fixture.context.clock.advance(LOST_MS + 1);
    await fixture.receive('dea-1', entry('x'), entry('y'));
    expect([await fixture.dueMs('x'), await fixture.dueMs('y')]).toEqual([back, back]);
    expect(await fixture.instance('x', 'x-0')).not.toHaveProperty('lastListedMs');
  });

  test('that follows an unfinished first heartbeat after a silence makes every droplet due', async () => {
    await fixture.receive('dea-1', entry('x'));
    await clearDue();
    const back = fixture.context.clock.advance(LOST_MS + 1);
    await beginHeartbeat(fixture.context.redis, {
      ...{ dea: 'dea-1', receivedMs: back, earliestMs: back, list: '', dropletLostMs: LOST_MS },
    });
    const next = fixture.context.clock.advance(10_000);
    await fixture.receive('dea-1', entry('x'));
    expect(await fixture.dueMs('x')).toBe(next);
  });
});
