import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import { readMassLoss } from '../../common/redis/fleet/holds/holds.ts';
import { FIELD } from '../../common/redis/keys.ts';
import { encodeDesired, encodeExit } from '../../common/redis/records/record-codec.ts';
import { readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { entry, LOST_MS, useIntake } from '../../deploy/verify/fixtures/heartbeats.ts';
import { type AnalyzerMetrics, analyzerMetrics } from '../metrics.ts';
import { evaluateMassLoss } from './mass-loss.ts';

const fixture = useIntake();
let metrics: AnalyzerMetrics;
beforeEach(() => {
  metrics = analyzerMetrics(new Registry());
});

const advance = (ms: number) => fixture.context.clock.advance(ms);
const wanted = async (...apps: string[]) => {
  const { client, keys } = fixture.context.redis;
  const desired = encodeDesired({
    ...{ state: 'STARTED', packageState: 'STAGED', instances: 1, version: 'v1', memoryMb: 1, updatedAtS: 1 },
  });
  for (const app of apps) await client.hset(keys.droplet(app), { desired, seen: 1, rev: 1 });
};
const lateDeas = async () => {
  const { redis, clock, log, settings } = fixture.context;
  await evaluateMassLoss({ redis, clock, log, metrics, policy: settings.policy });
  return readMassLoss(await readFleetFacts(redis)).lateDeas.sort();
};
const APPS = ['app-0', 'app-1', 'app-2', 'app-3'];
/** Each app runs on a DEA of its own. */
const hearReal = async () => {
  for (const app of APPS) await fixture.receive(`dea-of-${app}`, entry(app));
};
const MADE_UP = Array.from({ length: 30 }, (_, n) => `made-up-${n}`);
const allReal = APPS.map((app) => `dea-of-${app}`);

/** What made-up DEAs may list. */
const lies: [string, (n: number) => ReturnType<typeof entry>[]][] = [
  ['nothing', () => []],
  ['instances of other DEAs', (n) => [entry(APPS[n % 4] as string)]],
  ['made-up instances at slots that are filled', (n) => [entry(APPS[n % 4] as string, `copy-${n}`)]],
  ['apps that no controller knows', (n) => [entry(`stranger-${n}`)]],
  ['indices that nobody wants', (n) => [entry(APPS[n % 4] as string, `far-${n}`, { index: 7 + n })]],
];

describe.each(lies)('made-up DEAs that list %s', (_, listOf) => {
  const hearMadeUp = async () => {
    for (const [n, dea] of MADE_UP.entries()) await fixture.receive(dea, ...listOf(n));
  };

  test('do not raise mass_loss by falling silent together', async () => {
    await wanted(...APPS);
    await hearReal();
    advance(1);
    await hearMadeUp();
    advance(15_000);
    await hearReal();
    advance(LOST_MS / 3);
    expect(await lateDeas()).toEqual([]);
  });

  test('do not keep mass_loss off while the real ones are cut off', async () => {
    await wanted(...APPS);
    await hearReal();
    advance(1);
    await hearMadeUp();
    advance(15_000);
    await hearMadeUp();
    advance(LOST_MS / 3);
    expect(await lateDeas()).toEqual(allReal);
  });
});

test.each([1, 100])(
  'real DEAs whose last heartbeat listed only one instance, of %i others that nobody wants, are late',
  async (others) => {
    await wanted(...APPS);
    const strangers = Array.from({ length: others }, (_, n) => entry(`stranger-${n}`));
    for (const app of APPS) await fixture.receive(`dea-of-${app}`, entry(app), ...strangers);
    advance(5_000);
    for (const app of APPS) await fixture.receive(`dea-of-${app}`, entry('stranger-0'));
    advance(LOST_MS - 1);
    expect(await lateDeas()).toEqual(allReal);
  },
);

describe.each(['list and count', 'list', 'count'])('DEAs of which Redis has lost the %s', (lost) => {
  const lose = async () => {
    const { client, keys } = fixture.context.redis;
    if (lost !== 'count') for (const dea of allReal) await client.del(keys.deaList(dea));
    if (lost !== 'list') await client.del(keys.deasWanted);
  };

  test('raise mass_loss when they fall silent together', async () => {
    await wanted(...APPS);
    await hearReal();
    await lose();
    advance(LOST_MS - 1000);
    expect(await lateDeas()).toEqual(allReal);
  });

  test('keep it off while most of them send heartbeats', async () => {
    await wanted(...APPS);
    await fixture.receive('silent-1', entry('app-0'));
    await fixture.receive('silent-2', entry('app-1'));
    await fixture.receive('silent-3', entry('app-2'));
    advance(LOST_MS - 5000);
    await hearReal();
    await lose();
    expect(await lateDeas()).toEqual([]);
  });
});

test('a DEA that replaced a lost one counts, although the lost instance is still recorded', async () => {
  await wanted(...APPS);
  await hearReal();
  advance(2 * LOST_MS);
  for (const app of APPS) await fixture.receive(`next-of-${app}`, entry(app, `second-of-${app}`));
  advance(LOST_MS - 1000);
  expect(await lateDeas()).toEqual(expect.arrayContaining(APPS.map((app) => `next-of-${app}`)));
});

test('a DEA that replaced one which is evacuated counts, although the evacuated instance is still listed', async () => {
  await wanted(...APPS);
  await hearReal();
  advance(1);
  for (const app of APPS)
    await fixture.receive(`dea-of-${app}`, entry(app, `${app}-0`, { state: 'EVACUATING' }));
  for (const app of APPS) await fixture.receive(`next-of-${app}`, entry(app, `second-of-${app}`));
  advance(LOST_MS - 1000);
  expect(await lateDeas()).toEqual(expect.arrayContaining(APPS.map((app) => `next-of-${app}`)));
});

test('DEAs whose instances have all ended do not raise mass_loss by falling silent together', async () => {
  await wanted(...APPS);
  await hearReal();
  advance(1);
  const { redis, clock } = fixture.context;
  const { keys } = redis;
  for (const app of APPS) {
    const exit = { index: 0, reason: 'CRASHED', version: 'v1', atMs: clock.nowMs(), n: 1 } as const;
    const field = FIELD.exit + `${app}-0`;
    await redis.client.hset(keys.droplet(app), field, encodeExit({ instance: `${app}-0`, ...exit }));
  }
  await redis.client.del(keys.deasWanted);
  advance(LOST_MS - 1000);
  expect(await lateDeas()).toEqual([]);
});
