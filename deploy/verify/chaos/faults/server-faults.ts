import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type FaultKind, formatSeconds, pauseProcess } from './fault.ts';

/** Faults of the Redis and NATS servers. */
export const SERVER_FAULTS: Record<string, FaultKind> = {
  'Redis killed': {
    weight: 2,
    draw: (random) => {
      const ms = random.between(0, 5_000);
      return {
        what: `back after ${formatSeconds(ms)}`,
        run: async ({ stage }) => {
          await stage.redis.kill();
          await delay(ms);
          await stage.redis.restart();
        },
      };
    },
  },
  'Redis emptied': {
    weight: 1,
    draw: () => ({
      what: '',
      run: async ({ stage, undisturbed }) => {
        const redis = new Redis(stage.redis.url, { retryStrategy: () => 100, maxRetriesPerRequest: null });
        redis.on('error', () => undefined); // another fault may have killed Redis, which will come back
        await redis.flushall();
        undisturbed.dataLostMs = performance.now();
        redis.disconnect();
        await delay(1_000);
      },
    }),
  },
  'Redis stopped': {
    weight: 2,
    draw: () => ({ what: 'for 5 s', run: ({ stage }) => pauseProcess(stage.redis.pid(), 5_000) }),
  },
  'NATS killed': {
    weight: 2,
    draw: (random) => {
      const ms = random.between(0, 8_000);
      return {
        what: `back after ${formatSeconds(ms)}`,
        run: async ({ stage }) => {
          await stage.nats.kill();
          await delay(ms);
          await stage.nats.restart();
          while (!stage.connected()) await delay(20);
        },
      };
    },
  },
};
