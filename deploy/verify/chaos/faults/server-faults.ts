import { setTimeout as delay } from 'node:timers/promises';
import { endLies } from '../lies.ts';
import { MASS_LOSS } from '../settings.ts';
import type { Stage } from '../stage.ts';
import type { Undisturbed } from '../undisturbed.ts';
import { type FaultKind, formatSeconds, pauseProcess, withRedis } from './fault.ts';

/** The last lies are processed within this time. */
const LIES_PROCESSED_MS = 500;

interface Refusal {
  setting: string;
  refusing: string;
  usual: string;
}

const REFUSALS: Record<string, Refusal> = {
  'out of memory': { setting: 'maxmemory', refusing: '1mb', usual: '0' },
  'too few replicas': { setting: 'min-replicas-to-write', refusing: '1', usual: '0' },
};

/** Resolves when the cloud is connected. Of faults that overlap, the first brings NATS back. */
async function restartNats(stage: Stage, undisturbed: Undisturbed): Promise<void> {
  if (stage.nats.pid() === undefined) undisturbed.natsBackMs = performance.now();
  await stage.nats.restart();
  while (!stage.connected()) await delay(20);
}

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
      run: (target) =>
        withRedis(target, async (redis) => {
          endLies(target.deas);
          await delay(LIES_PROCESSED_MS);
          await redis.flushall();
          target.undisturbed.dataLostMs = performance.now();
          await delay(1_000);
        }),
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
        run: async ({ stage, undisturbed }) => {
          await stage.nats.kill();
          await delay(ms);
          await restartNats(stage, undisturbed);
        },
      };
    },
  },
  'NATS away for longer than the hold': {
    weight: 0.3,
    isOptIn: true,
    draw: (random) => {
      const ms = MASS_LOSS.hold * 1000 + random.between(1_000, 10_000);
      const spreadMs = random.between(2_000, 9_000);
      return {
        what: `back after ${formatSeconds(ms)}, DEAs one by one within ${formatSeconds(spreadMs)}`,
        run: async ({ stage, undisturbed, deas }) => {
          await stage.nats.kill();
          const away = [...deas.all].filter(({ connected }) => connected);
          for (const dea of away) deas.disconnect(dea);
          await delay(ms);
          await restartNats(stage, undisturbed);
          for (const dea of away) {
            deas.reconnect(dea);
            await delay(spreadMs / away.length);
          }
        },
      };
    },
  },
  'Redis refuses writes': {
    weight: 2,
    draw: (random) => {
      const reason = random.pick(Object.keys(REFUSALS));
      const ms = random.between(1_000, 10_000);
      return {
        what: `${reason}, for ${formatSeconds(ms)}`,
        run: (target) =>
          withRedis(target, async (redis) => {
            const { setting, refusing, usual } = REFUSALS[reason] as Refusal;
            await redis.config('SET', setting, refusing);
            await delay(ms);
            await redis.config('SET', setting, usual);
          }),
      };
    },
  },
};
