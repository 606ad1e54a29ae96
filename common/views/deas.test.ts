import { expect, test } from 'vitest';
import { silenceStates } from '../policy/fleet/liveness.ts';
import { SETTINGS } from '../testing/builders.ts';
import { useRedis } from '../testing/context.ts';
import { countDeas, readAllDeas } from './deas.ts';

const of = useRedis();
const SECOND = 1_000;

test('each DEA has one state, by its silence and its dea.shutdown; counts and list agree', async () => {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  const silentS = {
    ...{ alive: 1, 'alive-2': 20, late: 21, 'late-2': 30, lost: 31, 'lost-2': 200 },
    ...{ leaving: 1, 'leaving-late': 25, left: 31, 'left-2': 250 },
  };
  for (const [dea, seconds] of Object.entries(silentS)) {
    await client.zadd(keys.deasLastHeartbeat, nowMs - seconds * SECOND, dea);
    if (dea.startsWith('le')) await client.hset(keys.deasShutdown, dea, nowMs - seconds * SECOND);
  }
  // A mark of a DEA whose heartbeats have expired counts nowhere.
  await client.hset(keys.deasShutdown, 'expired', 1);
  const deas = await readAllDeas(of.context.redis, silenceStates(nowMs, [], SETTINGS));
  const states = Object.fromEntries(deas.map(({ dea, state }) => [dea, state]));
  expect(states).toEqual({
    ...{ alive: 'alive', 'alive-2': 'alive', late: 'late', 'late-2': 'late', lost: 'lost', 'lost-2': 'lost' },
    ...{ leaving: 'leaving', 'leaving-late': 'leaving', left: 'left', 'left-2': 'left' },
  });
  const two = { alive: 2, late: 2, lost: 2, leaving: 2, left: 2 };
  expect(await countDeas(of.context.redis, [], nowMs, SETTINGS)).toEqual(two);
});

test('in an ongoing gap of listening nothing becomes late or lost', async () => {
  const { client, keys } = of.context.redis;
  const nowMs = of.context.clock.nowMs();
  await client.zadd(keys.deasLastHeartbeat, nowMs - 600 * SECOND, 'dea');
  const gap = [{ fromMs: nowMs - 595 * SECOND, toMs: Number.POSITIVE_INFINITY }];
  expect(await countDeas(of.context.redis, gap, nowMs, SETTINGS)).toMatchObject({ alive: 1, lost: 0 });
});
