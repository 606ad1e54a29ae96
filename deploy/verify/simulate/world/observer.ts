import { Redis } from 'ioredis';
import { REDIS_PORT } from '../machine/machine.ts';
import type { World } from './world.ts';

/** Reads Redis from outside of the health manager, while the deployment goes on. */
export async function withRedis<T>(world: World, work: (redis: Redis) => Promise<T>): Promise<T> {
  const { outside, machine } = world;
  const redis = outside.within(() => new Redis({ port: REDIS_PORT, protocol: 2 }));
  try {
    return await machine.run(outside.within(() => work(redis)));
  } finally {
    outside.within(() => redis.disconnect());
    await machine.settle();
  }
}
