import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { createKeys } from '../../../../common/redis/keys.ts';
import { endLies } from '../lies.ts';
import type { Random } from '../random.ts';
import { SLICES } from '../settings.ts';
import { fieldEdits, keyFamilies, RECORD_EDITS } from './edits.ts';
import { type FaultKind, type FaultTarget, REBUILT_WITHIN_MS, withRedis } from './fault.ts';

const KEYS = createKeys('hm', SLICES);
const ALL_SLICES = Array.from({ length: SLICES }, (_, slice) => slice);

/** Keys that are built again within one audit or a few heartbeats; no decision rests on them alone. */
const DERIVED_KEYS: Record<string, (redis: Redis) => string[] | Promise<string[]>> = {
  digests: () => [KEYS.deasDigest],
  'due lists': () => ALL_SLICES.map(KEYS.due),
  'index entries': (redis) => redis.keys('hm:{*}:droplets:*'),
  "DEAs' lists": (redis) => redis.keys(KEYS.deaList('*')),
  'bulk pages': (redis) => redis.keys(KEYS.syncPage('*' as never)),
  'totals and troubled droplets': () => [...ALL_SLICES.map(KEYS.summary), ...ALL_SLICES.map(KEYS.troubled)],
  'timeline and scan': () => [KEYS.timeline, KEYS.scan],
  'decision logs': () => ALL_SLICES.map(KEYS.decisions),
};

/** The apps are picked when the fault runs, because earlier events decide which exist. */
function pickApps({ controller }: FaultTarget, shares: readonly number[]): string[] {
  const apps = controller.apps();
  return shares
    .map((share) => apps[Math.floor(share * apps.length)]?.name)
    .filter((name) => name !== undefined);
}

const shares = (random: Random) => Array.from({ length: 1 + random.below(20) }, () => random.next());

/** Faults of what Redis stores: keys and fields that are deleted or edited while the server runs. */
export const STORED_DATA_FAULTS: Record<string, FaultKind> = {
  'Redis keys deleted': {
    weight: 3,
    draw: (random) => {
      const what = random.pick(Object.keys(DERIVED_KEYS));
      return {
        what,
        recoversWithinMs: REBUILT_WITHIN_MS,
        run: (target) =>
          withRedis(target, async (redis) => {
            const keys = (await DERIVED_KEYS[what]?.(redis)) ?? [];
            if (keys.length > 0) await redis.del(...keys);
            await delay(1_000);
          }),
      };
    },
  },
  'Redis keys of another type': {
    weight: 2,
    draw: (random) => {
      const families = keyFamilies(KEYS);
      const family = random.pick([...families.keys()]);
      const keys = random.sample(families.get(family) ?? [], 20);
      return {
        what: `${keys.length} of ${family}`,
        recoversWithinMs: REBUILT_WITHIN_MS,
        run: (target) =>
          withRedis(target, async (redis) => {
            for (const [key, type] of keys) {
              const change = redis.multi().del(key);
              await (type === 'string' ? change.hset(key, 'by', 'hand') : change.set(key, 'by hand')).exec();
            }
            await delay(1_000);
          }),
      };
    },
  },
  'Redis fields edited': {
    weight: 2,
    draw: (random) => {
      const [key, field, value] = random.pick(fieldEdits(KEYS));
      return {
        what: `${key} ${field} = ${value}`,
        run: (target) =>
          withRedis(target, async (redis) => {
            await redis.hset(key, field, value);
            await delay(1_000);
          }),
      };
    },
  },
  'Redis records deleted': {
    weight: 2,
    draw: (random) => {
      const picks = shares(random);
      return {
        what: `of ${picks.length} apps`,
        recoversWithinMs: REBUILT_WITHIN_MS,
        run: (target) =>
          withRedis(target, async (redis) => {
            endLies(target.deas);
            for (const app of pickApps(target, picks)) {
              await redis.del(KEYS.droplet(app));
              target.undisturbed.recordLost(app);
            }
            await delay(1_000);
          }),
      };
    },
  },
  'Redis records edited': {
    weight: 2,
    draw: (random) => {
      const picks = shares(random);
      const [field, value] = random.pick(RECORD_EDITS);
      return {
        what: `${field} ${value === undefined ? 'deleted' : `= ${value}`} of ${picks.length} apps`,
        recoversWithinMs: REBUILT_WITHIN_MS,
        run: (target) =>
          withRedis(target, async (redis) => {
            endLies(target.deas);
            for (const app of pickApps(target, picks)) {
              if (value === undefined) await redis.hdel(KEYS.droplet(app), field);
              else await redis.hset(KEYS.droplet(app), field, value);
              target.undisturbed.recordLost(app);
            }
            await delay(1_000);
          }),
      };
    },
  },
  'Redis heartbeat times deleted': {
    weight: 1.5,
    draw: () => ({
      what: '',
      run: (target) =>
        withRedis(target, async (redis) => {
          await redis.del(KEYS.deasLastHeartbeat, KEYS.deasPreviousHeartbeat);
          await delay(1_000);
        }),
    }),
  },
};
