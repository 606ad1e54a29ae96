import type { Random } from '../../chaos/random.ts';
import type { Host } from '../machine/host.ts';
import type { CallFault, Unit } from '../machine/redis-connection.ts';
import type { World } from '../world/world.ts';
import { delay, type FaultKind, pickCopies, pickCopy } from './fault.ts';

type Rule = (host: Host, unit: Unit) => CallFault | undefined;

/** The rules that are on now, by world. */
const RULES = new WeakMap<World, Set<Rule>>();

/** Applies a rule to the calls of all processes until the returned function is called. */
function addRule(world: World, rule: Rule): () => void {
  let rules = RULES.get(world);
  if (rules === undefined) {
    const all = new Set<Rule>();
    rules = all;
    RULES.set(world, all);
    world.machine.redis.faultOf = (host, unit) => {
      for (const one of all) {
        const fault = one(host, unit);
        if (fault !== undefined) return fault;
      }
      return undefined;
    };
  }
  rules.add(rule);
  return () => void rules.delete(rule);
}

/** Waits for a drawn call of a drawn process, at most some seconds, and lets `meet` decide what happens to it. */
async function atCall(
  world: World,
  random: Random,
  meet: (copy: ReturnType<typeof pickCopy>) => CallFault | undefined,
): Promise<void> {
  const copy = pickCopy(world, random);
  // Small numbers too: they meet the call that an event causes, when the process was idle before.
  let left = random.chance(0.5) ? random.below(8) : random.below(150);
  // Some faults wait for a script or a transaction, which change more than the many single commands.
  const onlyScripts = random.chance(0.6);
  const end = addRule(world, (host, { name }) => {
    if (host !== copy.host || left < 0 || (onlyScripts && name !== 'EVALSHA' && name !== 'MULTI'))
      return undefined;
    return left-- === 0 ? meet(copy) : undefined;
  });
  await delay(8_000);
  end();
}

/** Faults between a process and Redis, at any single call. */
export const CALL_FAULTS: Record<string, FaultKind> = {
  'process killed at a call': {
    weight: 5,
    run: async (world, random) => {
      const reset = random.pick(['before', 'after'] as const);
      await atCall(world, random, (copy) => {
        copy.crash();
        return { reset };
      });
    },
  },
  'process stopped at a call': {
    weight: 5,
    run: async (world, random) => {
      const ms = random.chance(0.5) ? random.between(500, 10_000) : random.between(10_000, 120_000);
      const isKilled = random.chance(0.3);
      let stopped: Promise<void> | undefined;
      await atCall(world, random, (copy) => {
        const { host } = copy;
        copy.pause();
        stopped = world.outside.within(async () => {
          await delay(ms);
          if (copy.host !== host) return;
          if (isKilled) copy.crash();
          else copy.resume();
        });
        return undefined;
      });
      await stopped;
    },
  },
  'connection reset at a call': {
    weight: 4,
    run: async (world, random) => {
      const reset = random.pick(['before', 'after'] as const);
      await atCall(world, random, () => ({ reset }));
    },
  },
  'call delayed': {
    weight: 4,
    run: async (world, random) => {
      const ms = random.between(100, 15_000);
      const fault = random.chance(0.5) ? { delayMs: ms } : { replyDelayMs: ms };
      await atCall(world, random, () => fault);
      await delay(ms);
    },
  },
  'calls delayed': {
    weight: 3,
    run: async (world, random) => {
      const hosts = pickCopies(world, random).map(({ name }) => name);
      const share = random.between(0.05, 0.6);
      const mostMs = random.between(50, 2_000);
      const end = addRule(world, ({ name }) => {
        if (!hosts.includes(name) || !random.chance(share)) return undefined;
        const ms = random.between(10, mostMs);
        return random.chance(0.5) ? { delayMs: ms } : { replyDelayMs: ms };
      });
      await delay(random.between(1_000, 10_000));
      end();
      await delay(mostMs);
    },
  },
  'calls overtake each other': {
    weight: 3,
    run: async ({ machine }, random) => {
      machine.redis.overtaking = random.between(0.3, 0.9);
      machine.wavesPerSlot = 1 + random.below(4);
      await delay(random.between(2_000, 12_000));
      machine.redis.overtaking = 0;
      machine.wavesPerSlot = Number.POSITIVE_INFINITY;
    },
  },
};
