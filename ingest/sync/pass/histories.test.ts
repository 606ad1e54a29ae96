import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Droplet } from '../../../common/model/droplet.ts';
import { readDroplets } from '../../../common/redis/scripts/droplets/read-droplets.ts';
import type { ScriptName, Scripts } from '../../../common/redis/scripts/scripts.ts';
import { type TestContext, testContext } from '../../../common/testing/context.ts';
import { inputs } from '../../../common/testing/property-seed.ts';
import { startTestRedis, type TestRedis } from '../../../common/testing/redis.ts';
import { interceptScripts } from '../../../common/testing/redis-scripts.ts';
import { type TestSync, testSync } from '../../../deploy/verify/fixtures/sync.ts';
import { SimulatedController } from '../../../deploy/verify/sim/controller.ts';

let server: TestRedis;
let cc: SimulatedController;
let context: TestContext;
let sync: TestSync;
let writes: { left: number };

beforeAll(async () => {
  server = await startTestRedis();
  cc = await SimulatedController.start();
  context = await testContext({ redis: server, settings: { slices: 3 } });
  sync = testSync(context, cc);
  sync.deps.pagesPerBatch = 2; // so that a process may die between two batches
  writes = dying(context.redis);
});
afterAll(async () => {
  await context.lifecycle.stop();
  await cc.stop();
  await server.stop();
});

class Died extends Error {}

/** A process that dies between two of its writes: all after `left` ones never reach Redis. */
function dying(redis: { scripts: Scripts }): { left: number } {
  const life = { left: Number.POSITIVE_INFINITY };
  const writes: ScriptName[] = ['store_desired', 'mark_gone', 'store_pages', 'report_pass', 'fence_pass'];
  interceptScripts(redis, writes, (run) => {
    if (life.left <= 0) return Promise.reject(new Died('died'));
    life.left--;
    return run();
  });
  return life;
}

const IDS = Array.from({ length: 24 }, (_, n) => `app-${n}`);
const id = fc.constantFrom(...IDS);

/** What happens to the cloud and to the passes over it. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ put: id, instances: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ delete: id }) },
  { weight: 1, arbitrary: fc.record({ move: id }) },
  { weight: 1, arbitrary: fc.record({ bad: id }) },
  { weight: 2, arbitrary: fc.record({ pass: fc.constant('whole' as const) }) },
  { weight: 3, arbitrary: fc.record({ diesAfterWrites: fc.integer({ min: 4, max: 24 }) }) },
  { weight: 1, arbitrary: fc.record({ failsOnPage: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ shiftOnPage: fc.nat(6), delete: id }) },
);

async function take(happens: Record<string, unknown>): Promise<void> {
  context.clock.advance(1000);
  if ('put' in happens) cc.put(String(happens.put), { instances: happens.instances });
  else if ('bad' in happens) cc.put(String(happens.bad), { state: 17 });
  else if ('move' in happens) cc.move(String(happens.move));
  else if ('shiftOnPage' in happens) {
    cc.beforePage = (page) => (page === happens.shiftOnPage ? cc.delete(String(happens.delete)) : undefined);
    await sync.pass();
    cc.beforePage = () => undefined;
  } else if ('delete' in happens) cc.delete(String(happens.delete));
  else if ('diesAfterWrites' in happens) {
    writes.left = Number(happens.diesAfterWrites);
    await sync.pass().catch((error: unknown) => {
      if (!(error instanceof Died)) throw error;
    });
    writes.left = Number.POSITIVE_INFINITY;
  } else if ('failsOnPage' in happens) {
    cc.faults.status = { code: 500, page: Number(happens.failsOnPage) };
    await sync.pass();
    delete cc.faults.status;
  } else expect(await sync.pass()).toBe('complete');
}

describe('whatever happened before', () => {
  test.each([false, true])(
    'two whole passes know what the controller wants (pages by count: %s)',
    async (byCount) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (history) => {
          await context.redis.client.flushall();
          cc.clear();
          cc.faults.pagesByCount = byCount;
          for (const some of IDS) cc.put(some);
          await sync.pass();
          for (const happens of history) await take(happens);
          context.clock.advance(1000);
          await sync.pass();
          expect(await sync.pass()).toBe('complete');
          const droplets = await readDroplets(context.redis, IDS);
          for (const [at, droplet] of droplets.entries()) expectRight(IDS[at] as string, droplet);
          expect(await context.redis.client.exists(context.redis.keys.syncMissing)).toBe(0);
        }),
        inputs(40),
      );
    },
    120_000,
  );
});

function expectRight(id: string, droplet: Droplet | Error | undefined): void {
  const app = cc.get(id);
  if (droplet instanceof Error) throw droplet;
  if (app === undefined) {
    // Never heard of, or known to be gone.
    expect([id, droplet === undefined || droplet.goneMs !== undefined]).toEqual([id, true]);
    return;
  }
  expect([id, droplet?.goneMs]).toEqual([id, undefined]);
  if (app.state === 'STARTED') expect([id, droplet?.desired?.instances]).toEqual([id, app.instances]);
  else expect([id, droplet?.desired !== undefined || droplet?.listedMs !== undefined]).toEqual([id, true]);
}
