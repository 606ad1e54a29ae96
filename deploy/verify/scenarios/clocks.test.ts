import { afterEach, describe, expect, test } from 'vitest';
import { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';
import type { ProcessName } from './processes.ts';

const HOUR_MS = 3_600_000;

let deployment: Deployment;
afterEach(() => deployment.stop());

/** Two crashes; the restart after the second one is due after the shortest delay. */
async function crashTwice(droplet: string): Promise<void> {
  await deployment.desire(droplet, {});
  for (const guid of ['first', 'second']) {
    deployment.clock.advance(1);
    deployment
      .dea('dea-1')
      .sendExited({ droplet, version: `${droplet}-v1`, guid: `${droplet} ${guid}`, index: 0 }, 'CRASHED');
    await deployment.settle();
  }
}

describe('processes whose wall clocks are hours apart', () => {
  test.each<[string, Partial<Record<ProcessName, number>>]>([
    ['the analyzer’s is an hour ahead', { analyzer: HOUR_MS }],
    ['the analyzer’s is an hour behind', { analyzer: -HOUR_MS }],
    ['the nudger’s is an hour ahead', { nudger: HOUR_MS }],
    ['the nudger’s is an hour behind', { nudger: -HOUR_MS }],
    ['the ingestor’s is ahead, the sync’s behind', { ingest: 5 * HOUR_MS, sync: -7 * HOUR_MS }],
  ])('start, restart and stop at the right times: %s', async (_, wallClockOffsetsMs) => {
    deployment = await startCloud({
      wallClockOffsetsMs,
      queueTimersFail: true,
      policy: { delayTimeNoiseMs: 0 },
    });
    const [first, second] = await healthyApp(deployment, 'app', 2);
    await endInstance(deployment, first, 'CRASHED');
    expect(deployment.takeSent()).toEqual(['start app/0 (crashed)']);
    await deployment.desire('app', { state: 'STOPPED' });
    expect(deployment.takeSent()).toEqual([`stop ${second} of app (stopped)`]);
    await endInstance(deployment, second, 'STOPPED');

    await crashTwice('flappy');
    expect(deployment.takeSent()).toEqual(['start flappy/0 (crashed)']);
    const [job] = await deployment.quiescence.queue('restarts').getDelayed();
    if (wallClockOffsetsMs.nudger === undefined && (wallClockOffsetsMs.analyzer ?? 0) >= 0) {
      // Proof that the clocks differ: the job has the time of the analyzer that added it.
      const aheadMs = (job?.timestamp as number) - Date.now();
      expect(Math.abs(aheadMs - (wallClockOffsetsMs.analyzer ?? 0))).toBeLessThan(HOUR_MS / 2);
    }
    await deployment.desire('missing', {});
    await deployment.advance(29);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(2);
    expect(deployment.takeSent()).toEqual(['start missing/0 (missing)']);
    await deployment.desire('missing', { state: 'STOPPED' });
    // Whatever BullMQ's timer does with the delay, the restart leaves within a second after its due time on Redis's clock.
    await deployment.advance(28);
    expect(deployment.takeSent()).toEqual([]);
    await deployment.advance(3);
    expect(deployment.takeSent()).toEqual(['start flappy/0 (flapping)']);
  });

  test('two analyzers and two nudgers with different clocks send no request twice', async () => {
    deployment = await Deployment.start({ processes: ['ingest', 'sync'], executesRequests: true });
    for (const [analyzer, nudger] of [
      [0, 3 * HOUR_MS],
      [2 * HOUR_MS, 0],
    ] as const) {
      deployment.processes.wallClockOffsetsMs = { analyzer, nudger };
      await deployment.processes.start('analyzer', 'nudger');
    }
    deployment.dea('dea-1');
    deployment.dea('dea-2');
    await deployment.desire('app', { instances: 4 });
    await deployment.advance(35);
    await endInstance(deployment, deployment.dea('dea-1').guidsOf('app')[0], 'CRASHED');
    await deployment.advance(41);
    expect(deployment.takeSentMessages().map(({ reason }) => reason)).toEqual([
      ...Array(4).fill('missing'),
      'crashed',
    ]);
  });
});

describe('the cron', () => {
  test('that a clock far ahead has moved an hour into the future is reset by the next analyzer', async () => {
    deployment = await startCloud({ processes: ['ingest', 'sync', 'nudger'] });
    deployment.processes.wallClockOffsetsMs = { analyzer: HOUR_MS };
    await deployment.processes.start('analyzer');
    await expect.poll(() => lastTickMs()).toBe(deployment.clock.nowMs());
    await deployment.processes.stop('analyzer'); // the next tick is an hour away now
    deployment.processes.wallClockOffsetsMs = {};
    await deployment.processes.start('analyzer');
    const standsAtMs = deployment.clock.advance(10_000);
    await expect.poll(() => lastTickMs()).toBe(standsAtMs);
    // Later ticks come from the cron, not only from the check that reset it.
    deployment.clock.advance(500);
    await expect.poll(() => lastTickMs()).toBe(standsAtMs + 500);
  });

  async function lastTickMs(): Promise<number> {
    return Number(await deployment.observer.client.hget(deployment.observer.keys.scan, 'tick'));
  }
});
