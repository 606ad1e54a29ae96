import { afterEach, describe, expect, test } from 'vitest';
import { Deployment, type ProcessName } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

const HOUR_MS = 3_600_000;

let world: Deployment;
afterEach(() => world.stop());

/** Two crashes: the second one's restart is due after the shortest delay. */
async function crashTwice(droplet: string): Promise<void> {
  await world.desire(droplet, {});
  for (const guid of ['first', 'second']) {
    world.clock.advance(1);
    world
      .dea('dea-1')
      .sayExited({ droplet, version: `${droplet}-v1`, guid: `${droplet} ${guid}`, index: 0 }, 'CRASHED');
    await world.settle();
  }
}

describe('hosts whose wall clocks are hours apart', () => {
  test.each<[string, Partial<Record<ProcessName, number>>]>([
    ['the analyzer’s is an hour ahead', { analyzer: HOUR_MS }],
    ['the analyzer’s is an hour behind', { analyzer: -HOUR_MS }],
    ['the nudger’s is an hour ahead', { nudger: HOUR_MS }],
    ['the nudger’s is an hour behind', { nudger: -HOUR_MS }],
    ['the ingestor’s is ahead, the sync’s behind', { ingest: 5 * HOUR_MS, sync: -7 * HOUR_MS }],
  ])('start, restart and stop what they should, when they should: %s', async (_, wallClocks) => {
    world = await cloud({ wallClocks, timersFail: true, policy: { delayTimeNoiseMs: 0 } });
    const [first, second] = await healthyApp(world, 'app', 2);
    await end(world, first, 'CRASHED');
    expect(world.takeAsked()).toEqual(['start app/0 (crashed)']);
    await world.desire('app', { state: 'STOPPED' });
    expect(world.takeAsked()).toEqual([`stop ${second} of app (stopped)`]);
    await end(world, second, 'STOPPED');

    await crashTwice('flappy');
    expect(world.takeAsked()).toEqual(['start flappy/0 (crashed)']);
    const [job] = await world.rest.queue('restarts').getDelayed();
    if (wallClocks.nudger === undefined && (wallClocks.analyzer ?? 0) >= 0) {
      // So it is true that the clocks differ: the job bears the time of who added it.
      const aheadMs = (job?.timestamp as number) - Date.now();
      expect(Math.abs(aheadMs - (wallClocks.analyzer ?? 0))).toBeLessThan(HOUR_MS / 2);
    }
    await world.desire('missing', {});
    await world.advance(29);
    expect(world.takeAsked()).toEqual([]);
    await world.advance(2);
    expect(world.takeAsked()).toEqual(['start missing/0 (missing)']);
    await world.desire('missing', { state: 'STOPPED' });
    // Whatever BullMQ's timer makes of the delay: by Redis's clock it leaves a second after it was due, never before.
    await world.advance(28);
    expect(world.takeAsked()).toEqual([]);
    await world.advance(3);
    expect(world.takeAsked()).toEqual(['start flappy/0 (flapping)']);
  });

  test('two analyzers and two nudgers, each with another clock, ask for nothing twice', async () => {
    world = await Deployment.start({ processes: ['ingest', 'sync'], obedient: true });
    for (const [analyzer, nudger] of [
      [0, 3 * HOUR_MS],
      [2 * HOUR_MS, 0],
    ] as const) {
      world.wallClocks = { analyzer, nudger };
      await world.run('analyzer', 'nudger');
    }
    world.dea('dea-1');
    world.dea('dea-2');
    await world.desire('app', { instances: 4 });
    await world.advance(35);
    await end(world, world.dea('dea-1').of('app')[0], 'CRASHED');
    await world.advance(41);
    expect(world.takeSent().map(({ reason }) => reason)).toEqual([...Array(4).fill('missing'), 'crashed']);
  });
});

describe('the cron', () => {
  test('that a clock far ahead has set an hour into the future is set anew by whoever notices', async () => {
    world = await cloud({ processes: ['ingest', 'sync', 'nudger'] });
    world.wallClocks = { analyzer: HOUR_MS };
    await world.run('analyzer');
    await expect.poll(() => lastTickMs(), { timeout: 10_000 }).toBe(world.clock.nowMs());
    await world.end('analyzer'); // its next tick is an hour away now
    world.wallClocks = {};
    await world.run('analyzer');
    const standsAtMs = world.clock.advance(10_000);
    await expect.poll(() => lastTickMs(), { timeout: 10_000 }).toBe(standsAtMs);
    // And it goes on by itself, not only by its guard.
    world.clock.advance(500);
    await expect.poll(() => lastTickMs(), { timeout: 10_000 }).toBe(standsAtMs + 500);
  });

  async function lastTickMs(): Promise<number> {
    return Number(await world.store.client.hget(world.store.keys.scan, 'tick'));
  }
});
