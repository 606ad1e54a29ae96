import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Droplet } from '../../../common/model/droplet.ts';
import { readDroplets } from '../../../common/redis/scripts/droplets/reads/read-droplets.ts';
import type { ScriptName, Scripts } from '../../../common/redis/scripts/scripts.ts';
import { type TestContext, testContext } from '../../../common/testing/context.ts';
import { inputs } from '../../../common/testing/property-seed.ts';
import { interceptScripts } from '../../../common/testing/redis/scripts.ts';
import { startTestRedis, type TestRedis } from '../../../common/testing/redis/server.ts';
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
  sync.deps.pagesPerBatch = 2; // so that a process can die between two batches
  writes = limitWrites(context.redis);
});
afterAll(async () => {
  await context.lifecycle.stop();
  await cc.stop();
  await server.stop();
});

class Died extends Error {}

/** Simulates a process that dies between two writes: after `left` of them every write fails. */
function limitWrites(redis: { scripts: Scripts }): { left: number } {
  const budget = { left: Number.POSITIVE_INFINITY };
  const writes: ScriptName[] = ['store_desired', 'mark_gone', 'store_pages', 'report_pass', 'fence_pass'];
  interceptScripts(redis, writes, (run) => {
    if (budget.left <= 0) return Promise.reject(new Died('died'));
    budget.left--;
    return run();
  });
  return budget;
}

const IDS = Array.from({ length: 24 }, (_, n) => `app-${n}`);
const id = fc.constantFrom(...IDS);

/** One change of the cloud, or one pass. */
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

async function apply(event: Record<string, unknown>): Promise<void> {
  context.clock.advance(1000);
  if ('put' in event) cc.put(String(event.put), { instances: event.instances });
  else if ('bad' in event) cc.put(String(event.bad), { state: 17 });
  else if ('move' in event) cc.move(String(event.move));
  else if ('shiftOnPage' in event) {
    cc.beforePage = (page) => (page === event.shiftOnPage ? cc.delete(String(event.delete)) : undefined);
    await sync.pass();
    cc.beforePage = () => undefined;
  } else if ('delete' in event) cc.delete(String(event.delete));
  else if ('diesAfterWrites' in event) {
    writes.left = Number(event.diesAfterWrites);
    await sync.pass().catch((error: unknown) => {
      if (!(error instanceof Died)) throw error;
    });
    writes.left = Number.POSITIVE_INFINITY;
  } else if ('failsOnPage' in event) {
    cc.faults.status = { code: 500, page: Number(event.failsOnPage) };
    await sync.pass();
    delete cc.faults.status;
  } else expect(await sync.pass()).toBe('complete');
}

describe('after any history', () => {
  test.each([false, true])(
    'two complete passes store what the controller wants (pages by count: %s)',
    async (byCount) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (history) => {
          await context.redis.client.flushall();
          cc.clear();
          cc.faults.pagesByCount = byCount;
          for (const some of IDS) cc.put(some);
          await sync.pass();
          for (const event of history) await apply(event);
          context.clock.advance(1000);
          await sync.pass();
          expect(await sync.pass()).toBe('complete');
          const droplets = await readDroplets(context.redis, IDS);
          for (const [at, droplet] of droplets.entries()) expectStored(IDS[at] as string, droplet);
          expect(await context.redis.client.exists(context.redis.keys.syncMissing)).toBe(0);
        }),
        inputs(40),
      );
    },
    120_000,
  );
});

function expectStored(id: string, droplet: Droplet | Error | undefined): void {
  const app = cc.get(id);
  if (droplet instanceof Error) throw droplet;
  if (app === undefined) {
    // Never listed, or marked as gone.
    expect([id, droplet === undefined || droplet.goneMs !== undefined]).toEqual([id, true]);
    return;
  }
  expect([id, droplet?.goneMs]).toEqual([id, undefined]);
  if (app.state === 'STARTED') expect([id, droplet?.desired?.instances]).toEqual([id, app.instances]);
  else expect([id, droplet?.desired !== undefined || droplet?.listedMs !== undefined]).toEqual([id, true]);
}
