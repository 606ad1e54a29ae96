import type { RedisConnections } from '../../redis/connection/connections.ts';
import { recordOf } from '../context.ts';

/** For tests: the records of droplets of slice 0 (`slices: 1`), and what is kept beside them. */
export function redisRecords(redis: () => RedisConnections) {
  return {
    record: (id = 'x') => recordOf(redis(), id),
    put: (fields: Record<string, string | number>, id = 'x') =>
      redis().client.hset(redis().keys.droplet(id), fields),
    async dueAt(id = 'x') {
      const score = await redis().client.zscore(redis().keys.due(0), id);
      return score === null ? undefined : Number(score);
    },
    setDue: (ms: number, id = 'x') => redis().client.zadd(redis().keys.due(0), ms, id),
    isIndexed: async (id = 'x') => (await redis().client.hexists(redis().keys.indexOf(id), id)) === 1,
    /** The entries of the decision log. */
    async logged() {
      const entries = await redis().client.xrange(redis().keys.decisions(0), '-', '+');
      return entries.map(([, [, json]]) => JSON.parse(json as string) as Record<string, unknown>);
    },
  };
}
