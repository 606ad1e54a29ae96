import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { CounterName } from '../../../common/redis/fleet/counters.ts';
import { createKeys } from '../../../common/redis/keys.ts';
import { SLICES } from './settings.ts';
import type { Stage } from './stage.ts';
import type { WatchedCloud } from './watched-cloud.ts';

/** Counters are stored once a second. */
const STORED_WITHIN_MS = 10_000;

/** Compares the messages that the cloud sent since its start with the counters of the health manager. */
export class ReceivedCounts {
  readonly #stage: Stage;
  readonly #sent: Partial<Record<CounterName, number>>;

  /** @param queries the number of health requests */
  constructor(stage: Stage, { deas, controller }: WatchedCloud, queries: number) {
    this.#stage = stage;
    this.#sent = {
      heartbeat_msgs_received: deas.sentCounts.get(SUBJECTS.heartbeat) ?? 0,
      droplet_exited_msgs_received: deas.sentCounts.get(SUBJECTS.exited) ?? 0,
      droplet_updated_msgs_received: controller.updatesSent,
      healthmanager_health_request_msgs_received: queries,
    };
  }

  /**
   * Waits until all counters match, for at most ten seconds.
   *
   * @returns one line for each counter that does not
   */
  async differences(): Promise<string[]> {
    const redis = new Redis(this.#stage.redis.url);
    try {
      const giveUpMs = performance.now() + STORED_WITHIN_MS;
      for (;;) {
        const counted = await redis.hgetall(createKeys('hm', SLICES).counters);
        const found = Object.entries(this.#sent)
          .filter(([name, sent]) => Number(counted[name] ?? 0) !== sent)
          .map(([name, sent]) => `${name}: ${sent} were sent, ${counted[name] ?? 0} were counted`);
        if (found.length === 0 || performance.now() > giveUpMs) return found;
        await delay(200);
      }
    } finally {
      redis.disconnect();
    }
  }
}
