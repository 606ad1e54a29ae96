import { afterAll, beforeAll, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { Deployment } from './deployment.ts';

/** The processes go by the true clock: what is a matter of milliseconds. */

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({
    realTime: true,
    policy: { minRestartDelayMs: 400, delayTimeNoiseMs: 0 },
  });
  await deployment.desire('app', { instances: 2 });
});
afterAll(() => deployment.stop());

const asked = (count: number) =>
  expect.poll(() => deployment.sent.length, { interval: 2, timeout: 10_000 }).toBe(count);

/** An instance comes up and crashes. @returns when that was said (ms on the monotonic clock) */
async function crash(): Promise<number> {
  // Not in the millisecond of the last start: the referee could not tell which came first.
  const nowMs = Date.now();
  await expect.poll(() => Date.now(), { interval: 1 }).toBeGreaterThan(nowMs);
  const dea = deployment.dea('dea-1');
  dea.end(dea.run('app', 0), 'CRASHED');
  return performance.now();
}

test('a crash is answered within milliseconds, a restart leaves within milliseconds of its time', async () => {
  const waits: number[] = [];
  const lates: number[] = [];
  for (let round = 0; round < 5; round++) {
    deployment.publish(SUBJECTS.updated, { droplet: 'app' });
    await deployment.settle();
    await expect.poll(() => isHeld(), { interval: 5, timeout: 10_000 }).toBe(false);
    const first = await crash();
    await asked(1);
    waits.push((deployment.takeSentMessages()[0]?.realMs as number) - first);
    const second = await crash();
    await asked(1);
    const [sent] = deployment.takeSentMessages();
    expect(sent).toMatchObject({ reason: 'flapping', message: { flapping: true } });
    lates.push((sent?.realMs as number) - second - 400);
  }
  // A test machine is not always there at once; HM 2.0 took up to a second for the one and two for the other.
  expect(waits.sort((a, b) => a - b)[2]).toBeLessThan(400);
  expect(Math.min(...lates)).toBeLessThan(250);
  expect(Math.min(...lates)).toBeGreaterThanOrEqual(-2);
});

/** Whether the app waits for the pass after its update. */
async function isHeld(): Promise<boolean> {
  const { client, keys } = deployment.observer;
  const [updated, completed] = await Promise.all([
    client.hget(keys.droplet('app'), 'updated'),
    client.hget(keys.syncState, 'completed'),
  ]);
  return Number(updated) >= Number(completed);
}
