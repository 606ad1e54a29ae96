/** vitest's global set-up when the scenarios run on Redis Clusters: see `redis-under-test.ts`. */
import type { TestProject } from 'vitest/node';
import { startTestRedisCluster } from './cluster.ts';
import { provideClusters } from './under-test.ts';

export default async function setup({ config }: TestProject): Promise<() => Promise<void>> {
  const workers = Number(config.maxWorkers);
  const clusters = await Promise.all(Array.from({ length: workers }, () => startTestRedisCluster()));
  provideClusters(clusters.map(({ masters }) => masters.map(({ server }) => server.url)));
  return async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
  };
}
