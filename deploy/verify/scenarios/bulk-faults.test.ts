import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BulkApiFaults } from '../sim/bulk-api.ts';
import type { Deployment } from './deployment.ts';
import { endInstance, healthyApp, startCloud } from './fixtures.ts';

/** Under every fault of the bulk API no wanted instance is stopped, and the first pass after the fault recovers. */

let deployment: Deployment;
let rounds = 0;
const APPS = Array.from({ length: 12 }, (_, n) => `app-${n}`); // more than one page

beforeAll(async () => {
  deployment = await startCloud({
    pageTimeoutMs: 60,
    policy: { desiredStateLostMs: 20_000 },
    settings: { syncPeriodMs: 10_000, postponeUpdateMs: 10_000 },
  });
  for (const app of APPS) await deployment.desire(app, {}, { announce: false });
  for (const app of APPS) deployment.dea('dea-1').run(app, 0);
  await deployment.advance(41);
  expect(deployment.takeSent()).toEqual([]);
});
afterAll(() => deployment.stop());
beforeEach(() => {
  rounds++;
});

/** Applies a fault for longer than desired_state_lost, then removes it and expects a recovery. */
async function withFault(
  fault: () => void | Promise<void>,
  remove: () => void | Promise<void>,
): Promise<void> {
  await fault();
  await deployment.advance(50);
  expect(deployment.takeSent()).toEqual([]);
  await remove();
  await deployment.advance(11);
  const app = `scaled-${rounds}`;
  await healthyApp(deployment, app, 1); // the desired state is current again
  await endInstance(deployment, deployment.dea('dea-1').guidsOf(app)[0], 'CRASHED');
  expect(deployment.takeSent()).toEqual([`start ${app}/0 (crashed)`]);
  await deployment.desire(app, { state: 'STOPPED' });
}

describe('a bulk API that', () => {
  test.each<[string, BulkApiFaults]>([
    ['hangs', { hang: true }],
    ['answers with 500', { status: { code: 500 } }],
    ['answers with 500 on one page only', { status: { code: 500, page: 1 } }],
    ['redirects', { status: { code: 302 } }],
    ['never accepts the credentials', { unauthorized: Number.POSITIVE_INFINITY }],
    ['sends truncated JSON', { cutOff: true }],
    ['closes the connection in the middle of a reply', { breakOff: true }],
    ['repeats the same token', { repeatFirstToken: true }],
  ])('%s', async (_, faults) => {
    await withFault(
      () => void Object.assign(deployment.controller.faults, faults),
      () => {
        for (const name of Object.keys(faults) as (keyof BulkApiFaults)[])
          delete deployment.controller.faults[name];
      },
    );
    expect(deployment.logged('sync_failed').length).toBeGreaterThan(0);
  });

  test('refuses connections', async () => {
    await withFault(
      () => deployment.controller.stop(),
      () => deployment.controller.listen(),
    );
  });

  test('rejects the old credentials once is asked again with new ones', async () => {
    deployment.controller.faults.unauthorized = 1;
    await deployment.advance(20);
    expect(deployment.controller.faults.unauthorized).toBe(0);
    expect(deployment.takeSent()).toEqual([]);
  });

  test('suddenly lists no app', async () => {
    await withFault(
      () => deployment.controller.clear(),
      async () => {
        for (const app of APPS) await deployment.desire(app, {}, { announce: false });
      },
    );
  });

  test('shifts its pages while they are read', async () => {
    deployment.controller.faults.pagesByCount = true;
    deployment.controller.beforePage = (page) => {
      if (page === 1) for (const app of APPS.slice(0, 3)) deployment.controller.move(app);
    };
    await deployment.advance(50);
    expect(deployment.takeSent()).toEqual([]);
    delete deployment.controller.faults.pagesByCount;
    deployment.controller.beforePage = () => undefined;
    await deployment.advance(60);
    expect(deployment.takeSent()).toEqual([]);
  });

  test('sends one invalid entry still has its other entries applied', async () => {
    await deployment.desire(APPS[0] as string, { instances: null }, { announce: false });
    await deployment.desire(APPS[1] as string, { instances: 2 });
    await deployment.advance(41);
    expect(deployment.takeSent()).toEqual([`start ${APPS[1]}/1 (missing)`]);
    await deployment.desire(APPS[0] as string, { instances: 1 }, { announce: false });
    await deployment.desire(APPS[1] as string, { instances: 1 });
  });
});
