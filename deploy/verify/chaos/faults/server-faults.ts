import { setTimeout as delay } from 'node:timers/promises';
import { SUBJECTS } from '../../../../common/messages/subjects.ts';
import { endLies } from '../lies.ts';
import { MASS_LOSS } from '../settings.ts';
import type { Stage } from '../stage.ts';
import type { Undisturbed } from '../undisturbed.ts';
import {
  type FaultKind,
  type FaultTarget,
  formatSeconds,
  pauseProcess,
  REBUILT_WITHIN_MS,
  withRedis,
} from './fault.ts';
import { DENIABLE, REFUSALS, type Refusal, SUBSCRIBED_AGAIN_MS } from './refusals.ts';

/** The last lies are processed within this time. */
const LIES_PROCESSED_MS = 500;

/** No server listens on this port, so a replica of it keeps its data. */
const NO_SERVER = 1;

/** NATS has read its changed configuration by then. */
const DENIED_WITHIN_MS = 300;

async function killNats({ stage, undisturbed }: Pick<FaultTarget, 'stage' | 'undisturbed'>): Promise<void> {
  await stage.nats.kill();
  undisturbed.unheardSince('nats');
}

/** Resolves when the cloud is connected. Of faults that overlap, the first brings NATS back. */
async function restartNats(stage: Stage, undisturbed: Undisturbed): Promise<void> {
  if (stage.nats.pid() === undefined) undisturbed.heardAgain('nats');
  await stage.nats.restart();
  while (!stage.connected()) await delay(20);
}

/** What is evicted: a share of the keys. Larger ones would leave nothing to a run of several faults. */
const EVICTED_SHARE: readonly [number, number] = [0.02, 0.15];
const EVICTION_MS: readonly [number, number] = [1_000, 4_000];

/** Kills NATS and starts it again, as it is now limited. */
async function restartLimited(target: FaultTarget): Promise<void> {
  const { stage, undisturbed } = target;
  await killNats(target);
  await restartNats(stage, undisturbed);
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
      recoversWithinMs: REBUILT_WITHIN_MS,
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
          await killNats({ stage, undisturbed });
          await delay(ms);
          await restartNats(stage, undisturbed);
        },
      };
    },
  },
  'NATS away for longer than the hold': {
    weight: 1.5,
    draw: (random) => {
      const ms = MASS_LOSS.hold * 1000 + random.between(1_000, 10_000);
      const spreadMs = random.between(2_000, 9_000);
      return {
        what: `back after ${formatSeconds(ms)}, DEAs one by one within ${formatSeconds(spreadMs)}`,
        run: async ({ stage, undisturbed, deas }) => {
          await killNats({ stage, undisturbed });
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
  'NATS refuses subscriptions': {
    weight: 1.5,
    draw: (random) => {
      const denied = random.sample(DENIABLE, 1 + random.below(2));
      const ms = random.between(1_000, 12_000);
      return {
        what: `${denied.join(', ')}, for ${formatSeconds(ms)}`,
        run: async ({ stage, undisturbed }) => {
          const isUnheard = denied.includes(SUBJECTS.heartbeat);
          stage.limitNats({ denied });
          await delay(DENIED_WITHIN_MS);
          stage.checkNatsLimits();
          // Of two such faults at once the first one ends both.
          if (isUnheard) undisturbed.unheardSince('denied');
          await delay(ms);
          undisturbed.heardAgain('denied');
          stage.limitNats({ denied: [] });
          await delay(SUBSCRIBED_AGAIN_MS);
        },
      };
    },
  },
  'NATS without headers': {
    weight: 1.5,
    draw: (random) => {
      const ms = random.between(3_000, 15_000);
      return {
        what: `for ${formatSeconds(ms)}`,
        run: async (target) => {
          target.stage.limitNats({ withoutHeaders: true });
          await restartLimited(target);
          await delay(ms);
          target.stage.limitNats({ withoutHeaders: false });
          await restartLimited(target);
        },
      };
    },
  },
  'Redis evicts keys': {
    weight: 1.5,
    draw: (random) => {
      const share = random.between(...EVICTED_SHARE);
      const ms = random.between(...EVICTION_MS);
      return {
        what: `about ${Math.round(100 * share)}% of the memory, for ${formatSeconds(ms)}`,
        recoversWithinMs: REBUILT_WITHIN_MS,
        run: (target) =>
          withRedis(target, async (redis) => {
            endLies(target.deas);
            await delay(LIES_PROCESSED_MS);
            target.undisturbed.dataLostMs = performance.now(); // so that no lie begins meanwhile
            const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
            await redis.config('SET', 'maxmemory-policy', 'allkeys-random');
            await redis.config('SET', 'maxmemory', Math.floor(used * (1 - share)));
            await delay(ms);
            await redis.config('SET', 'maxmemory', '0');
            await redis.config('SET', 'maxmemory-policy', 'noeviction');
            target.undisturbed.dataLostMs = performance.now();
          }),
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
  'Redis read-only': {
    weight: 1.5,
    draw: (random) => {
      const ms = random.between(1_000, 10_000);
      return {
        what: `for ${formatSeconds(ms)}`,
        run: (target) =>
          withRedis(target, async (redis) => {
            await redis.replicaof('127.0.0.1', NO_SERVER);
            await delay(ms);
            await redis.replicaof('NO', 'ONE');
          }),
      };
    },
  },
};
