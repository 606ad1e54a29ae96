import type { Keys } from '../../../../common/redis/keys.ts';
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

/** Faults of what Redis stores: somebody deletes keys while everything runs. */
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
};
