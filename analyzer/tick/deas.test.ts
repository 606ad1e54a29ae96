import { beforeEach, describe, expect, test } from 'vitest';
import { useRedis } from '../../common/testing/context.ts';
import { expireDeas, markLostDeas } from './deas.ts';

const of = useRedis();
const LOST = 30_000;
const NOBODY = new Set<string>();

beforeEach(() => {
  of.context.lines.length = 0;
});

const begin = (dea: string, droplets: string[]) => {
  const { redis, clock } = of.context;
  const { keys, scripts } = redis;
  return scripts.beginHeartbeat(
    [
      keys.deasLastHeartbeat,
      keys.deasPreviousHeartbeat,
      keys.deasDigest,
      keys.deaList(dea),
      keys.deasShutdown,
      keys.failover,
    ],
    [clock.nowMs(), dea, droplets.map((droplet) => `f0000000${droplet}\n`).join('')],
  );
};
/** The DEA lists an instance of each of these droplets. */
async function hear(dea: string, ...droplets: string[]): Promise<void> {
  const { keys, scripts } = of.context.redis;
  const [at] = await begin(dea, droplets);
  await scripts.finishHeartbeat(
    [keys.deasDigest, keys.deaList(dea), keys.deasCount, keys.failover],
    [at as string, dea, 'digest', droplets.length, '', ''],
  );
}
const markLost = (held: ReadonlySet<string> = NOBODY) => {
  const { redis, clock, settings, log } = of.context;
  const heartbeatWatermarkMs = clock.nowMs();
  const holds = {
    massLossDeas: held,
    heartbeatWatermarkMs,
    massLossEvaluated: { sinceMs: 0, untilMs: heartbeatWatermarkMs },
  };
  return markLostDeas(redis, clock, settings.policy, log, holds);
};
/** As `mass_loss` was judged so long ago, and for so long; undefined: never. */
const markLostAsJudged = (agoMs?: number, forMs = LOST) => {
  const { redis, clock, settings, log } = of.context;
  const untilMs = clock.nowMs() - (agoMs ?? 0);
  const judged = agoMs === undefined ? {} : { massLossEvaluated: { sinceMs: untilMs - forMs, untilMs } };
  const heartbeatWatermarkMs = clock.nowMs();
  return markLostDeas(redis, clock, settings.policy, log, {
    massLossDeas: NOBODY,
    heartbeatWatermarkMs,
    ...judged,
  });
};
/** As all ingestors have stored what they heard until so long ago; undefined: nobody knows. */
const markLostAsHeard = (agoMs?: number, lossPossibleUntilMs?: number) => {
  const { redis, clock, settings, log } = of.context;
  return markLostDeas(redis, clock, settings.policy, log, {
    massLossDeas: NOBODY,
    massLossEvaluated: { sinceMs: 0, untilMs: clock.nowMs() },
    ...(agoMs !== undefined && { heartbeatWatermarkMs: clock.nowMs() - agoMs }),
    ...(lossPossibleUntilMs !== undefined && { lossPossibleUntilMs }),
  });
};
const forget = () => {
  const { redis, clock, settings, log } = of.context;
  return expireDeas(redis, clock, settings.policy, log);
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

describe('a DEA that falls silent', () => {
  test('is lost when the hold mass_loss has been judged since', async () => {
    await hear('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 10);
    await markLostAsJudged();
    await markLostAsJudged(10);
    expect(await due()).toEqual([]);
    await markLostAsJudged(9, LOST / 3 - 1);
    expect(await due()).toEqual([]);
    await markLostAsJudged(9, LOST / 3);
    expect(await due()).toEqual(['x']);
  });

  test('is lost when no ingestor may have a heartbeat of it in hand', async () => {
    await hear('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 10);
    await markLostAsHeard();
    await markLostAsHeard(10);
    expect(await due()).toEqual([]);
    await markLostAsHeard(9);
    expect(await due()).toEqual(['x']);
  });

  test('may have spoken once more where something was lost since', async () => {
    const lastHeartbeatMs = of.context.clock.nowMs();
    await hear('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 1);
    await markLostAsHeard(0, lastHeartbeatMs + 2);
    expect(await due()).toEqual([]);
    of.context.clock.advance(2);
    await markLostAsHeard(0, lastHeartbeatMs + 2);
    expect(await due()).toEqual(['x']);
  });

  test('makes the droplets that it listed due, once', async () => {
    await hear('silent', 'x', 'y');
    of.context.clock.advance(1);
    await hear('other', 'y', 'z');
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

  test('again, is found again', async () => {
    await hear('silent', 'x');
    of.context.clock.advance(LOST + 1);
    await markLost();
    await hear('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 1);
    await markLost();
    expect(await due()).toEqual(['x']);
  });

  test('while it is held, is found when it is held no more', async () => {
    await hear('silent', 'x');
    await clearDue();
    of.context.clock.advance(LOST + 1);
    await markLost(new Set(['silent']));
    expect(await due()).toEqual([]);
    await markLost();
    expect(await due()).toEqual(['x']);
  });

  test('in the middle of a heartbeat, takes with it what it listed before and what was being stored', async () => {
    await hear('silent', 'x');
    of.context.clock.advance(10_000);
    await begin('silent', ['y']);
    of.context.clock.advance(LOST + 1);
    await markLost();
    expect(await due()).toEqual(['x', 'y']);
  });
});

test('a DEA that is silent for ten times droplet_lost is forgotten, not a moment earlier', async () => {
  const { client } = of.context.redis;
  await hear('gone', 'x');
  of.context.clock.advance(10 * LOST);
  await hear('here', 'y');
  await forget();
  expect(logged('dea_expired')).toEqual([]);
  of.context.clock.advance(1);
  await forget();
  expect(logged('dea_expired')).toMatchObject([{ dea: 'gone' }]);
  expect(await client.zrange(of.context.redis.keys.deasLastHeartbeat, '0', '-1')).toEqual(['here']);
  expect(await client.keys('hm:{fleet}:deas:list:*')).toEqual([of.context.redis.keys.deaList('here')]);
});
