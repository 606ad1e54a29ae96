import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessCopy } from '../copies.ts';
import { INTERVALS } from '../settings.ts';
import { copyOf, type FaultKind, formatSeconds, pauseProcess, signal } from './fault.ts';

/** The others take over the messages of an ingestor that stands still. */
const TAKEN_OVER_WITHIN_MS = 2 * INTERVALS.droplet_lost * 1000;

/** BullMQ gives the jobs of a process that stands still to others after their locks and a check (queues.ts). */
const STALLED_JOB_TAKEN_OVER_MS = 15_000;

/** Ends a copy by a signal and waits until its supervisor has started it again. Meanwhile no other fault freezes it: it would never end. */
async function endCopy(copy: ProcessCopy, by: NodeJS.Signals): Promise<void> {
  const before = copy.pid();
  copy.pauses++;
  signal(before, by);
  signal(before, 'SIGCONT');
  while (copy.pid() === before && before !== undefined) await delay(20);
  await copy.ready();
  copy.pauses--;
}

async function pauseCopy(copy: ProcessCopy, ms: number): Promise<void> {
  copy.pauses++;
  await pauseProcess(copy.pid(), ms);
  copy.pauses--;
}

/** One copy of these processes stands still until the cloud has recovered without it. */
function freeze(processes: readonly string[], takenOverWithinMs: number): FaultKind['draw'] {
  return (random, copies) => {
    const name = random.pick(copies.filter((copy) => processes.includes(copy.split(' ')[0] as string)));
    let frozen: number | undefined;
    return {
      what: name,
      run: async (target) => {
        const copy = copyOf(target, name);
        const others = target.stage.copies.filter(
          (other) => other !== copy && other.process === copy.process,
        );
        // While all stand still nothing can be decided, so one stays.
        if (copy.pauses > 0 || others.every(({ pauses }) => pauses > 0)) return;
        frozen = copy.pid();
        copy.pauses++;
        signal(frozen, 'SIGSTOP');
        await delay(takenOverWithinMs);
      },
      repair: async (target) => {
        if (frozen === undefined) return;
        const copy = copyOf(target, name);
        copy.pauses--;
        if (copy.pid() === frozen) await endCopy(copy, 'SIGKILL');
      },
    };
  };
}

/** Faults of the health manager's own processes. */
export const PROCESS_FAULTS: Record<string, FaultKind> = {
  'process killed': {
    weight: 4,
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
    weight: 4,
    draw: (random, copies) => {
      const name = random.pick(copies);
      const ms = random.between(300, 10_000);
      return {
        what: `${name} for ${formatSeconds(ms)}`,
        run: (target) => pauseCopy(copyOf(target, name), ms),
      };
    },
  },
  'ingestor frozen for good': { weight: 1.5, draw: freeze(['ingest'], TAKEN_OVER_WITHIN_MS) },
  'process frozen for good': {
    weight: 1.5,
    draw: freeze(['sync', 'analyzer', 'nudger'], STALLED_JOB_TAKEN_OVER_MS),
  },
  'process frozen': {
    weight: 1,
    draw: (random, copies) => {
      const name = random.pick(copies);
      const ms = random.between(12_000, 25_000);
      return {
        what: `${name} for ${formatSeconds(ms)}, then killed`,
        run: async (target) => {
          const copy = copyOf(target, name);
          copy.pauses++;
          signal(copy.pid(), 'SIGSTOP');
          await delay(ms);
          copy.pauses--;
          await endCopy(copy, 'SIGKILL');
        },
      };
    },
  },
  'log disk full': {
    weight: 1.5,
    draw: (random) => {
      const ms = random.between(3_000, 15_000);
      return {
        what: `for ${formatSeconds(ms)}`,
        run: async ({ stage }) => {
          const fill = (full: boolean) => {
            stage.fillLogDisk(full);
            // They open the file anew, as after a rotation.
            for (const copy of stage.copies) signal(copy.pid(), 'SIGHUP');
          };
          fill(true);
          await delay(ms);
          fill(false);
        },
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
