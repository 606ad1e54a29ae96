import { afterEach, expect, test } from 'vitest';
import { type TestContext, testContext, useRedis } from '../../../common/testing/context.ts';
import { editedRedisTarget } from './edited-redis.ts';
import { httpTarget } from './http.ts';
import { ingestTarget } from './ingest.ts';
import { queriesTarget } from './queries.ts';
import { run } from './run.ts';
import type { Target } from './target.ts';

const redis = useRedis();
let context: TestContext | undefined;
afterEach(() => context?.lifecycle.stop());

/** A small part of `npm run fuzz`. */
test.each<[string, number, (context: TestContext) => Target | Promise<Target>]>([
  ['ingest', 1_000, ingestTarget],
  ['queries', 500, queriesTarget],
  ['HTTP', 300, httpTarget],
  ['an edited Redis', 300, editedRedisTarget],
])('%s', async (_, inputs, create) => {
  context = await testContext({ redis: redis.server, settings: { slices: 16 } });
  const { outcomes } = await run(await create(context), inputs, 3);
  expect(outcomes.size).toBeGreaterThan(0);
});
