import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessCopy } from '../copies.ts';
import { copyOf, type FaultKind, formatSeconds, pauseProcess, signal } from './fault.ts';

/** Ends a copy by a signal and waits until its supervisor has started it again. */
async function endCopy(copy: ProcessCopy, by: NodeJS.Signals): Promise<void> {
  const before = copy.pid();
  signal(before, by);
  signal(before, 'SIGCONT');
  while (copy.pid() === before && before !== undefined) await delay(20);
  await copy.ready();
}

async function pauseCopy(copy: ProcessCopy, ms: number): Promise<void> {
  copy.pauses++;
  await pauseProcess(copy.pid(), ms);
  copy.pauses--;
}

/** Faults of the health manager's own processes. */
export const PROCESS_FAULTS: Record<string, FaultKind> = {
  'process killed': {
    weight: 5,
    draw: (random, copies) => {
      const name = random.pick(copies);
      return { what: name, run: (target) => endCopy(copyOf(target, name), 'SIGKILL') };
    },
  },
  'process restarted': {
    weight: 2,
    draw: (random, copies) => {
      const name = random.pick(copies);
      return { what: name, run: (target) => endCopy(copyOf(target, name), 'SIGTERM') };
    },
  },
  'all of a kind killed': {
    weight: 1,
    draw: (random, copies) => {
      const kind = random.pick(copies).split(' ')[0] as string;
      const names = copies.filter((name) => name.startsWith(`${kind} `));
      return {
        what: `all ${kind}`,
        run: async (target) => {
          await Promise.all(names.map((name) => endCopy(copyOf(target, name), 'SIGKILL')));
        },
      };
    },
  },
  'process stopped': {
    weight: 5,
    draw: (random, copies) => {
      const name = random.pick(copies);
      const ms = random.between(300, 10_000);
      return {
        what: `${name} for ${formatSeconds(ms)}`,
        run: (target) => pauseCopy(copyOf(target, name), ms),
      };
    },
  },
  'clock shifted': {
    weight: 2,
    draw: (random, copies) => {
      const name = random.pick(copies);
      const aheadMs = Math.round(random.between(-3_600_000, 3_600_000));
      const ms = random.between(3_000, 9_000);
      return {
        what: `${name} by ${formatSeconds(aheadMs)}, for ${formatSeconds(ms)}`,
        run: async (target) => {
          const { clockFile } = copyOf(target, name);
          writeFileSync(clockFile, String(aheadMs));
          await delay(ms);
          writeFileSync(clockFile, '0');
        },
      };
    },
  },
};
