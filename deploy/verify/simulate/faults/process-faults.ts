import { INTERVALS } from '../../chaos/settings.ts';
import { delay, type FaultKind, pickCopies, pickCopy } from './fault.ts';

const DROPLET_LOST_MS = INTERVALS.droplet_lost * 1000;

/** Faults of the health manager's own processes. */
export const PROCESS_FAULTS: Record<string, FaultKind> = {
  'process killed': {
    weight: 4,
    run: async (world, random) => {
      for (const copy of pickCopies(world, random)) copy.crash();
      await delay(1_500);
    },
  },
  'process restarted': {
    weight: 2,
    run: async (world, random) => {
      pickCopy(world, random).stopInOrder();
      await delay(3_000);
    },
  },
  'process stopped': {
    weight: 5,
    run: async (world, random) => {
      const copies = pickCopies(world, random);
      // Mostly shorter than what makes a peer silent, sometimes minutes.
      const ms = random.chance(0.7) ? random.between(200, 10_000) : random.between(10_000, 90_000);
      const stopped = copies.map((copy) => ({ copy, host: copy.host }));
      for (const { copy } of stopped) copy.pause();
      await delay(ms);
      for (const { copy, host } of stopped) if (copy.host === host) copy.resume();
    },
  },
  'process stopped, then killed': {
    weight: 2,
    run: async (world, random) => {
      const copy = pickCopy(world, random);
      const { host } = copy;
      copy.pause();
      await delay(random.between(1_000, 25_000));
      if (copy.host === host) copy.crash();
      await delay(1_500);
    },
  },
  'ingestor silent for good': {
    weight: 1,
    run: async ({ copies }, random) => {
      const running = copies.filter(({ kind, pauses }) => kind === 'ingest' && pauses === 0);
      // While all stand still nothing can be decided, so one stays.
      if (running.length < 2) return;
      const copy = random.pick(running);
      const { host } = copy;
      copy.pause();
      await delay(4 * DROPLET_LOST_MS);
      if (copy.host === host) copy.crash();
      await delay(1_500);
    },
  },
  'clock shifted': {
    weight: 2,
    run: async (world, random) => {
      const copy = pickCopy(world, random);
      copy.wallOffsetMs = Math.round(random.between(-3_600_000, 3_600_000));
      await delay(random.between(3_000, 20_000));
      copy.wallOffsetMs = 0;
    },
  },
};
