import { Cluster } from 'ioredis';
import { emptyRedis, type RedisUnderTest, startTestRedis } from './server.ts';

/**
 * Which Redis the scenarios run on: `HM_TEST_REDIS=cluster npx vitest run deploy/verify/scenarios` runs them on a Redis
 * Cluster of three nodes, otherwise each has a Redis of its own.
 */
export const onCluster = process.env.HM_TEST_REDIS === 'cluster';

/** The clusters that `cluster-setup.ts` has started, one for each worker of vitest, because starting one takes seconds. */
const CLUSTERS = 'HM_TEST_CLUSTERS';

/** Passes clusters to the workers, which begin after this. */
export function provideClusters(nodes: readonly (readonly string[])[]): void {
  process.env[CLUSTERS] = JSON.stringify(nodes);
}

/** An empty Redis. */
export async function redisUnderTest(): Promise<RedisUnderTest> {
  if (!onCluster) {
    const { url, stop } = await startTestRedis();
    return { settings: { kind: 'single', url }, urls: [url], stop };
  }
  const clusters = JSON.parse(process.env[CLUSTERS] ?? '[]') as string[][];
  const urls = clusters[(Number(process.env.VITEST_POOL_ID) - 1) % clusters.length];
  if (urls === undefined)
    throw new Error(`${CLUSTERS}: expected the clusters of cluster-setup.ts, found none`);
  const client = new Cluster(urls);
  try {
    await client.ping();
    await emptyRedis(client);
  } finally {
    client.disconnect();
  }
  return { settings: { kind: 'cluster', nodes: urls }, urls, stop: async () => undefined };
}
