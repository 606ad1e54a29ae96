import type { Keys } from '../../../../common/redis/keys.ts';
import { fieldEdits, keyFamilies, RECORD_EDITS } from '../../chaos/faults/edits.ts';
import { REBUILT_WITHIN_MS } from '../../chaos/faults/fault.ts';
import { endLies } from '../../chaos/lies.ts';
import { delay, type FaultKind } from './fault.ts';

/** Keys that are built again within one audit or a few heartbeats, by what they hold. */
const DERIVED: Record<string, (keys: Keys, slices: readonly number[]) => string[]> = {
  digests: (keys) => [keys.deasDigest],
  'due lists': (keys, slices) => slices.map(keys.due),
  "DEAs' lists": (keys) => [keys.deaList('*')],
  'index entries': (_keys, slices) => slices.map((slice) => `hm:{${slice}}:droplets:*`),
  'bulk pages': (keys) => [keys.syncPage('*' as never)],
  'totals and troubled droplets': (keys, slices) => [
    ...slices.map(keys.summary),
    ...slices.map(keys.troubled),
  ],
  'timeline and scan': (keys) => [keys.timeline, keys.scan],
  'decision logs': (keys, slices) => slices.map(keys.decisions),
  jobs: (keys) => [`${keys.queuePrefix}:*`],
  'event streams': (keys) => [...keys.eventStreams],
};

/** Deletes what matches, as one client would. */
const DELETE = `
for _, pattern in ipairs(ARGV) do
  for _, key in ipairs(redis.call('KEYS', pattern)) do redis.call('DEL', key) end
end`;

/** Deletes a share of all keys, drawn by the digests of their names, as an eviction would. */
const EVICT = `
for _, key in ipairs(redis.call('KEYS', '*')) do
  local drawn = tonumber(string.sub(redis.sha1hex(ARGV[1] .. key), 1, 6), 16) / 16777216
  if drawn < tonumber(ARGV[2]) then redis.call('DEL', key) end
end`;

/** Faults of what Redis stores: keys are deleted, evicted and edited while everything runs. */
export const DATA_FAULTS: Record<string, FaultKind> = {
  'Redis keys deleted': {
    weight: 3,
    recoversWithinMs: REBUILT_WITHIN_MS,
    run: async ({ machine, keys }, random) => {
      const what = random.pick(Object.keys(DERIVED));
      const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
      const patterns = DERIVED[what]?.(keys, slices) ?? [];
      // Braces and brackets stand for themselves here; of a pattern only the star does not.
      await machine.redis.later(
        'EVAL',
        DELETE,
        '0',
        ...patterns.map((pattern) => pattern.replace(/[[\]]/g, '\\$&')),
      );
      await delay(1_000);
    },
  },
  'Redis keys of another type': {
    weight: 2,
    recoversWithinMs: REBUILT_WITHIN_MS,
    run: async ({ machine, keys }, random) => {
      const families = keyFamilies(keys);
      const family = families.get(random.pick([...families.keys()])) ?? [];
      for (const [key, type] of random.sample(family, 5)) {
        await machine.redis.later('DEL', key);
        if (type === 'string') await machine.redis.later('HSET', key, 'by', 'hand');
        else await machine.redis.later('SET', key, 'by hand');
      }
      await delay(1_000);
    },
  },
  'Redis records deleted': {
    weight: 2,
    recoversWithinMs: REBUILT_WITHIN_MS,
    run: async ({ machine, keys, cloud }, random) => {
      endLies(cloud.deas);
      for (const { name } of random.sample(cloud.controller.apps(), 1 + random.below(6))) {
        cloud.undisturbed.recordLost(name);
        await machine.redis.later('DEL', keys.droplet(name));
      }
      await delay(1_000);
    },
  },
  'Redis records edited': {
    weight: 2,
    recoversWithinMs: REBUILT_WITHIN_MS,
    run: async ({ machine, keys, cloud }, random) => {
      endLies(cloud.deas);
      const [field, value] = random.pick(RECORD_EDITS);
      for (const { name } of random.sample(cloud.controller.apps(), 1 + random.below(6))) {
        cloud.undisturbed.recordLost(name);
        const key = keys.droplet(name);
        if (value === undefined) await machine.redis.later('HDEL', key, field);
        else await machine.redis.later('HSET', key, field, value);
      }
      await delay(1_000);
    },
  },
  'Redis fields edited': {
    weight: 2,
    run: async ({ machine, keys }, random) => {
      await machine.redis.later('HSET', ...random.pick(fieldEdits(keys)));
      await delay(1_000);
    },
  },
  'Redis heartbeat times deleted': {
    weight: 1,
    run: async ({ machine, keys }) => {
      await machine.redis.later('DEL', keys.deasLastHeartbeat, keys.deasPreviousHeartbeat);
      await delay(1_000);
    },
  },
  'Redis evicts keys': {
    weight: 1,
    recoversWithinMs: REBUILT_WITHIN_MS,
    run: async ({ machine, cloud }, random) => {
      endLies(cloud.deas);
      const share = random.between(0.02, 0.15);
      for (let times = 1 + random.below(4); times > 0; times--) {
        cloud.undisturbed.dataLostMs = machine.time.nowMs;
        await machine.redis.later('EVAL', EVICT, '0', `${random.next()}`, `${share}`);
        await delay(random.between(200, 1_500));
      }
      cloud.undisturbed.dataLostMs = machine.time.nowMs;
    },
  },
};
