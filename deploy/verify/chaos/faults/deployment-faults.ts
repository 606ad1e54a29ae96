import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessName } from '../../../run/launcher/child.ts';
import { type FaultKind, formatSeconds } from './fault.ts';

const PROCESSES: readonly ProcessName[] = ['ingest', 'sync', 'analyzer', 'nudger'];

/** Other deployments, each with a prefix of its own in the same Redis. */
const SECOND: Record<string, object> = {
  'in dry_run': { redis: { prefix: 'trial' }, dry_run: true },
  // Its controller lists nothing and never answers, so it has nothing to start or stop.
  'of another partition': {
    redis: { prefix: 'other' },
    cc_partition: 'other',
    bulk_api: { host: 'http://127.0.0.1:1' },
  },
};

/** A second deployment on the same NATS and Redis. The referee judges its messages, too. */
export const DEPLOYMENT_FAULTS: Record<string, FaultKind> = {
  'second deployment': {
    weight: 1.5,
    draw: (random) => {
      const what = random.pick(Object.keys(SECOND));
      const ms = random.between(8_000, 15_000);
      return {
        what: `${what}, for ${formatSeconds(ms)}`,
        run: async ({ stage }) => {
          const stop = stage.startSecond(`second ${++started}`, SECOND[what] as object, PROCESSES);
          await delay(ms);
          await stop();
        },
      };
    },
  },
};

let started = 0;
