import { setTimeout as delay } from 'node:timers/promises';
import { copyOf, type FaultKind, formatSeconds, setMode } from './fault.ts';

/** Every connection to a server slows down. */
function slow(server: 'redis' | 'nats', delays: readonly [number, number]): FaultKind['draw'] {
  return (random, copies) => {
    const delayMs = random.between(...delays);
    const ms = random.between(3_000, 9_000);
    return {
      what: `by ${Math.round(delayMs)} ms each way, for ${formatSeconds(ms)}`,
      run: (target) => {
        const proxies = copies.map((name) => copyOf(target, name)[server]);
        return setMode(proxies, { kind: 'slow', delayMs }, ms);
      },
    };
  };
}

/** Faults of the connections between the processes and the servers. */
export const NETWORK_FAULTS: Record<string, FaultKind> = {
  'NATS slow': { weight: 2, draw: slow('nats', [50, 800]) },
  'Redis slow': { weight: 1, draw: slow('redis', [20, 200]) },
  'Redis two seconds late': { weight: 1.5, draw: slow('redis', [900, 1_100]) },
  'connections cut midway': {
    weight: 3,
    draw: (random, copies) => {
      const names = random.sample(copies, 1 + random.below(copies.length));
      const server = random.pick(['redis', 'nats'] as const);
      const bytes = random.below(20_000);
      return {
        what: `${names.join(', ')} to ${server}`,
        run: async (target) => {
          for (const name of names) copyOf(target, name)[server].cut(bytes);
          await delay(1_500);
        },
      };
    },
  },
  'connection stalled': {
    weight: 3,
    draw: (random, copies) => {
      const names = random.sample(copies, 1 + random.below(3));
      const server = random.pick(['redis', 'nats'] as const);
      const ms = random.between(500, 12_000);
      return {
        what: `${names.join(', ')} to ${server}, for ${formatSeconds(ms)}`,
        run: async (target) => {
          const stalled = names.map((name) => copyOf(target, name));
          const stalledMs = performance.now();
          await setMode(
            stalled.map((copy) => copy[server]),
            { kind: 'stalled' },
            ms,
          );
          if (server === 'redis') return;
          // What a killed process had sent is lost: the proxy drops it.
          for (const copy of stalled)
            if (copy.pauses > 0) copy.lastRelease = { stalledMs, releasedMs: performance.now() };
        },
      };
    },
  },
};
