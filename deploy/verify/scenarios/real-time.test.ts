import { afterAll, beforeAll, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { Deployment } from './deployment.ts';

/** Latencies of milliseconds, measured with processes that use the true clock. */

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({
    realTime: true,
    policy: { minRestartDelayMs: 400, delayTimeNoiseMs: 0 },
  });
  await deployment.desire('app', { instances: 2 });
});
afterAll(() => deployment.stop());

const messagesSent = (count: number) =>
  expect.poll(() => deployment.sent.length, { interval: 2 }).toBe(count);

/**
 * An instance starts and crashes.
 *
 * @returns when its exit was sent (ms on the monotonic clock)
 */
async function crash(): Promise<number> {
  // Not in the millisecond of the last start, because the referee could not order the two.
  const nowMs = Date.now();
  await expect.poll(() => Date.now(), { interval: 1 }).toBeGreaterThan(nowMs);
  const dea = deployment.dea('dea-1');
  dea.end(dea.run('app', 0), 'CRASHED');
  return performance.now();
}

test('a start follows its crash within milliseconds, and a restart leaves within milliseconds of its due time', async () => {
  const startDelaysMs: number[] = [];
  const restartDelaysMs: number[] = [];
  for (let round = 0; round < 5; round++) {
    deployment.publish(SUBJECTS.updated, { droplet: 'app' });
    await deployment.settle();
    await expect.poll(() => isUpdateRequired(), { interval: 5 }).toBe(false);
    const first = await crash();
    await messagesSent(1);
    startDelaysMs.push((deployment.takeSentMessages()[0]?.realMs as number) - first);
    const second = await crash();
    await messagesSent(1);
    const [sent] = deployment.takeSentMessages();
    expect(sent).toMatchObject({ reason: 'flapping', message: { flapping: true } });
    restartDelaysMs.push((sent?.realMs as number) - second - 400);
  }
  // Generous bounds for a busy test machine. HM 2.0 took up to one second for the start and two for the restart.
  expect(startDelaysMs.sort((a, b) => a - b)[2]).toBeLessThan(400);
  expect(Math.min(...restartDelaysMs)).toBeLessThan(250);
  expect(Math.min(...restartDelaysMs)).toBeGreaterThanOrEqual(-2);
});

/** Whether the app waits for the sync pass after its update. */
async function isUpdateRequired(): Promise<boolean> {
  const { client, keys } = deployment.observer;
  const [updated, completed] = await Promise.all([
    client.hget(keys.droplet('app'), 'updated'),
    client.hget(keys.syncState, 'completed'),
  ]);
  return Number(updated) >= Number(completed);
}
