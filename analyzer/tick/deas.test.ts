import { beforeEach, describe, expect, test } from 'vitest';
import type { ListeningGap } from '../../common/model/droplet.ts';
import { beginHeartbeat } from '../../common/redis/scripts/heartbeats/begin-heartbeat.ts';
import { finishHeartbeat } from '../../common/redis/scripts/heartbeats/finish-heartbeat.ts';
import { useRedis } from '../../common/testing/context.ts';
import { expireDeas, markLostDeas } from './deas.ts';

const of = useRedis();
const LOST = 30_000;
const NONE = new Set<string>();

beforeEach(() => {
  of.context.lines.length = 0;
});

const begin = (dea: string, droplets: string[]) => {
  const { redis, clock } = of.context;
  const list = droplets.map((droplet) => `f0000000${droplet}\n`).join('');
  return beginHeartbeat(redis, {
    dea,
    receivedMs: clock.nowMs(),
    earliestMs: clock.nowMs(),
    list,
    dropletLostMs: 30_000,
  });
};
/** The DEA lists an instance of each of these droplets. */
async function heartbeat(dea: string, ...droplets: string[]): Promise<void> {
  const begun = await begin(dea, droplets);
  if (typeof begun === 'string') throw new Error(`${dea}: expected a heartbeat to begin, found ${begun}`);
  const { atMs } = begun;
  await finishHeartbeat(of.context.redis, { dea, atMs, digest: 'digest', running: droplets.length });
}
const markLost = (held: ReadonlySet<string> = NONE) => {
  const { redis, clock, settings, log } = of.context;
  const heartbeatWatermarkMs = clock.nowMs();
  const holds = {
    massLossDeas: held,
    heartbeatWatermarkMs,
    massLossEvaluated: { sinceMs: 0, untilMs: heartbeatWatermarkMs },
  };
  return markLostDeas(redis, clock, settings.policy, log, holds);
};
/** With `mass_loss` last evaluated `agoMs` ago, and for `forMs`; undefined: never. */
const markLostEvaluated = (agoMs?: number, forMs = LOST) => {
  const { redis, clock, settings, log } = of.context;
  const untilMs = clock.nowMs() - (agoMs ?? 0);
  const evaluated = agoMs === undefined ? {} : { massLossEvaluated: { sinceMs: untilMs - forMs, untilMs } };
  const heartbeatWatermarkMs = clock.nowMs();
  return markLostDeas(redis, clock, settings.policy, log, {
    massLossDeas: NONE,
    heartbeatWatermarkMs,
    ...evaluated,
  });
};
/** With a heartbeat watermark of `agoMs` ago; undefined: no watermark. */
const markLostAtWatermark = (agoMs?: number, lossPossibleUntilMs?: number) => {
  const { redis, clock, settings, log } = of.context;
  return markLostDeas(redis, clock, settings.policy, log, {
    massLossDeas: NONE,
    massLossEvaluated: { sinceMs: 0, untilMs: clock.nowMs() },
    ...(agoMs !== undefined && { heartbeatWatermarkMs: clock.nowMs() - agoMs }),
    ...(lossPossibleUntilMs !== undefined && { lossPossibleUntilMs }),
  });
};
const expire = (listeningGaps: ListeningGap[] = []) => {
  const { redis, clock, settings, log } = of.context;
  return expireDeas(redis, clock, settings.policy, log, { listeningGaps });
};
const due = async () => {
  const { client } = of.context.redis;
  const lists = await client.keys('hm:{*}:due');
  return (await Promise.all(lists.map((list) => client.zrange(list, '0', '-1')))).flat().sort();
};
const clearDue = async () => {
  const lists = await of.context.redis.client.keys('hm:{*}:due');
  if (lists.length > 0) await of.context.redis.client.del(...lists);
};
const logged = (event: string) => of.context.lines.filter((line) => line.event === event);

describe('a silent DEA', () => {
  test('is lost once the hold mass_loss has been evaluated since', async () => {
    await heartbeat('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 10);
    await markLostEvaluated();
    await markLostEvaluated(10);
    expect(await due()).toEqual([]);
    await markLostEvaluated(9, LOST / 3 - 1);
    expect(await due()).toEqual([]);
    await markLostEvaluated(9, LOST / 3);
    expect(await due()).toEqual(['x']);
  });

  test('is lost once no ingestor can have an unstored heartbeat of it', async () => {
    await heartbeat('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 10);
    await markLostAtWatermark();
    await markLostAtWatermark(10);
    expect(await due()).toEqual([]);
    await markLostAtWatermark(9);
    expect(await due()).toEqual(['x']);
  });

  test('may have sent one more heartbeat if one was lost since', async () => {
    const lastHeartbeatMs = of.context.clock.nowMs();
    await heartbeat('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 1);
    await markLostAtWatermark(0, lastHeartbeatMs + 2);
    expect(await due()).toEqual([]);
    of.context.clock.advance(2);
    await markLostAtWatermark(0, lastHeartbeatMs + 2);
    expect(await due()).toEqual(['x']);
  });

  test('makes the droplets that it listed due, once', async () => {
    await heartbeat('silent', 'x', 'y');
    of.context.clock.advance(1);
    await heartbeat('other', 'y', 'z');
    await clearDue();
    of.context.clock.advance(LOST - 1);
    await markLost();
    expect(await due()).toEqual([]);
    of.context.clock.advance(1);
    await markLost();
    expect(await due()).toEqual(['x', 'y']);
    expect(logged('dea_lost')).toMatchObject([{ dea: 'silent', droplets: 2, silentMs: LOST + 1 }]);
    await clearDue();
    await markLost();
    expect(await due()).toEqual([]);
  });

  test('that announced its shutdown has left, which is no warning', async () => {
    await heartbeat('silent', 'x');
    const { client, keys } = of.context.redis;
    await client.hset(keys.deasShutdown, 'silent', of.context.clock.nowMs());
    await clearDue();
    of.context.clock.advance(LOST + 1);
    await markLost();
    expect(await due()).toEqual(['x']);
    expect(logged('dea_lost')).toEqual([]);
    expect(logged('dea_left')).toMatchObject([{ dea: 'silent', level: 30 }]);
  });

  test('that is back and silent again is marked again', async () => {
    await heartbeat('silent', 'x');
    of.context.clock.advance(LOST + 1);
    await markLost();
    await heartbeat('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 1);
    await markLost();
    expect(await due()).toEqual(['x']);
  });

  test('held by mass_loss is marked when the hold ends', async () => {
    await heartbeat('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 1);
    await markLost(new Set(['silent']));
    expect(await due()).toEqual([]);
    await markLost();
    expect(await due()).toEqual(['x']);
  });

  test('lost in the middle of a heartbeat makes both its old and its new list due', async () => {
    await heartbeat('silent', 'x');
    of.context.clock.advance(10_000);
    await begin('silent', ['y']);
    of.context.clock.advance(LOST + 1);
    await markLost();
    expect(await due()).toEqual(['x', 'y']);
  });
});

test('however many DEAs have expired, one tick removes all of them', async () => {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  await client.zadd(
    keys.deasLastHeartbeat,
    ...Array.from({ length: 1_234 }, (_, n) => [nowMs, `dea-${n}`]).flat(),
  );
  of.context.clock.advance(10 * LOST + 1);
  await expire();
  expect(await client.zcard(keys.deasLastHeartbeat)).toBe(0);
  expect(logged('deas_expired')).toMatchObject([{ deas: 1_234 }]);
});

test('no DEA expires while no ingestor listens', async () => {
  await heartbeat('gone', 'x');
  const heartbeatMs = of.context.clock.nowMs();
  of.context.clock.advance(30 * LOST);
  await expire([{ fromMs: heartbeatMs + 1, toMs: Number.POSITIVE_INFINITY }]);
  await expire([{ fromMs: heartbeatMs, toMs: heartbeatMs + 20 * LOST }]);
  expect(logged('dea_expired')).toEqual([]);
  await expire([{ fromMs: heartbeatMs, toMs: heartbeatMs + 20 * LOST - 1 }]);
  expect(logged('dea_expired')).toMatchObject([{ dea: 'gone' }]);
});

test('a DEA expires after ten times droplet_lost, not a moment earlier', async () => {
  const { client } = of.context.redis;
  await heartbeat('gone', 'x');
  of.context.clock.advance(10 * LOST);
  await heartbeat('here', 'y');
  await expire();
  expect(logged('dea_expired')).toEqual([]);
  of.context.clock.advance(1);
  await expire();
  expect(logged('dea_expired')).toMatchObject([{ dea: 'gone' }]);
  expect(await client.zrange(of.context.redis.keys.deasLastHeartbeat, '0', '-1')).toEqual(['here']);
  expect(await client.keys('hm:{fleet}:deas:list:*')).toEqual([of.context.redis.keys.deaList('here')]);
});
