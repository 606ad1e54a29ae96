import { describe, expect, test } from 'vitest';
import { entry, LOST_MS, useIntake } from '../../deploy/verify/fixtures/heartbeats.ts';
import { storeShutdown } from '../store-events.ts';

const fixture = useIntake();
const clock = () => fixture.context.clock;
const instancesOf = async (droplet: string) => (await fixture.droplet(droplet)).instances;

describe('dea.shutdown', () => {
  const shutdown = (dea: string, receivedMs = clock().nowMs()) =>
    storeShutdown(fixture.context.redis, dea, receivedMs, { dropletLostMs: LOST_MS });
  const shutDown = () => fixture.context.redis.client.hkeys(fixture.context.redis.keys.deasShutdown);

  test('of an unknown DEA is forgotten after droplet_lost', async () => {
    const { client, keys } = fixture.context.redis;
    await shutdown('unknown');
    expect(await shutDown()).toEqual([]);
    expect(await client.pttl(keys.deaList('unknown'))).toBeGreaterThan(0);
    expect(await client.pttl(keys.deaList('unknown'))).toBeLessThanOrEqual(LOST_MS);
  });

  test('of a known DEA is stored, also where Redis has lost its heartbeat time', async () => {
    await fixture.receive('known');
    await fixture.context.redis.client.del(fixture.context.redis.keys.deasLastHeartbeat);
    await shutdown('known');
    expect(await shutDown()).toEqual(['known']);
    expect(await fixture.context.redis.client.pttl(fixture.context.redis.keys.deaList('known'))).toBe(-1);
  });

  test('that is handled before the first heartbeat counts, unless the heartbeat was delivered later', async () => {
    await shutdown('first', clock().nowMs());
    await fixture.receive('first', entry('x'));
    expect(await shutDown()).toEqual(['first']);
    await shutdown('second', clock().nowMs() - 1);
    await fixture.receive('second', entry('x', 'x-1', { index: 1 }));
    expect(await shutDown()).toEqual(['first']);
    expect(await instancesOf('x')).toHaveLength(2);
  });
});
