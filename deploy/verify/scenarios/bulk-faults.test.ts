import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Faults } from '../../../common/testing/fake-cc.ts';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

/** Whatever the bulk API does: no wanted instance is stopped, and a pass after the fault heals. */

let world: Deployment;
let rounds = 0;
const APPS = Array.from({ length: 12 }, (_, n) => `app-${n}`); // more than one page

beforeAll(async () => {
  world = await cloud({
    pageTimeoutMs: 60,
    policy: { desiredStateLostMs: 20_000 },
    settings: { syncPeriodMs: 10_000, postponeUpdateMs: 10_000 },
  });
  for (const app of APPS) await world.desire(app, {}, { quietly: true });
  for (const app of APPS) world.dea('dea-1').run(app, 0);
  await world.advance(41);
  expect(world.takeAsked()).toEqual([]);
});
afterAll(() => world.stop());
beforeEach(() => {
  rounds++;
});

/** As long as it takes to lose the desired state, and an extra app its time, with the fault; then without. */
async function through(fault: () => void | Promise<void>, heal: () => void | Promise<void>): Promise<void> {
  await fault();
  await world.advance(50);
  expect(world.takeAsked()).toEqual([]);
  await heal();
  await world.advance(11);
  const app = `scaled-${rounds}`;
  await healthyApp(world, app, 1); // what the controller wants now is known
  await end(world, world.dea('dea-1').of(app)[0], 'CRASHED');
  expect(world.takeAsked()).toEqual([`start ${app}/0 (crashed)`]);
  await world.desire(app, { state: 'STOPPED' });
}

describe('a bulk API that', () => {
  test.each<[string, Faults]>([
    ['hangs', { hang: true }],
    ['answers with 500', { status: { code: 500 } }],
    ['answers with 500 on one page only', { status: { code: 500, page: 1 } }],
    ['redirects', { status: { code: 302 } }],
    ['never accepts the credentials', { unauthorized: Number.POSITIVE_INFINITY }],
    ['sends cut-off JSON', { cutOff: true }],
    ['breaks off in the middle of a reply', { breakOff: true }],
    ['gives a token that stands still', { tokenStandsStill: true }],
  ])('%s', async (_, faults) => {
    await through(
      () => void Object.assign(world.cc.faults, faults),
      () => {
        for (const name of Object.keys(faults) as (keyof Faults)[]) delete world.cc.faults[name];
      },
    );
    expect(world.logged('sync_failed').length).toBeGreaterThan(0);
  });

  test('refuses connections', async () => {
    await through(
      () => world.cc.stop(),
      () => world.cc.listen(),
    );
  });

  test('is asked with old credentials once', async () => {
    world.cc.faults.unauthorized = 1;
    await world.advance(20);
    expect(world.cc.faults.unauthorized).toBe(0);
    expect(world.takeAsked()).toEqual([]);
  });

  test('lists nothing all of a sudden', async () => {
    await through(
      () => world.cc.clear(),
      async () => {
        for (const app of APPS) await world.desire(app, {}, { quietly: true });
      },
    );
  });

  test('shifts its pages while they are read', async () => {
    world.cc.faults.pagesByCount = true;
    world.cc.beforePage = (page) => {
      if (page === 1) for (const app of APPS.slice(0, 3)) world.cc.move(app);
    };
    await world.advance(50);
    expect(world.takeAsked()).toEqual([]);
    delete world.cc.faults.pagesByCount;
    world.cc.beforePage = () => undefined;
    await world.advance(60);
    expect(world.takeAsked()).toEqual([]);
  });

  test('sends one bad entry: the others count', async () => {
    await world.desire(APPS[0] as string, { instances: null }, { quietly: true });
    await world.desire(APPS[1] as string, { instances: 2 });
    await world.advance(41);
    expect(world.takeAsked()).toEqual([`start ${APPS[1]}/1 (missing)`]);
    await world.desire(APPS[0] as string, { instances: 1 }, { quietly: true });
    await world.desire(APPS[1] as string, { instances: 1 });
  });
});
