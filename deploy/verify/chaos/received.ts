import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { CounterName } from '../../../common/redis/counters.ts';
import { createKeys } from '../../../common/redis/keys.ts';
import { SLICES } from './settings.ts';
import type { Stage } from './stage.ts';
import type { WatchedCloud } from './watched-cloud.ts';

/** Counters are stored once a second. */
const STORED_WITHIN_MS = 10_000;

/** Compares what the cloud has said since the beginning with what the health manager has counted as received. */
export class ReceivedCounts {
  readonly #stage: Stage;
  readonly #said: Partial<Record<CounterName, number>>;

  /** @param asked questions after health */
  constructor(stage: Stage, { hosts, controller }: WatchedCloud, asked: number) {
    this.#stage = stage;
    this.#said = {
      heartbeat_msgs_received: hosts.said.get(SUBJECTS.heartbeat) ?? 0,
      droplet_exited_msgs_received: hosts.said.get(SUBJECTS.exited) ?? 0,
      droplet_updated_msgs_received: controller.said,
      healthmanager_health_request_msgs_received: asked,
    };
  }

  /** Waits until all is counted, at most for a while. @returns what is not, in words */
  async differences(): Promise<string[]> {
    const redis = new Redis(this.#stage.redis.url);
    try {
      const giveUpMs = performance.now() + STORED_WITHIN_MS;
      for (;;) {
        const counted = await redis.hgetall(createKeys('hm', SLICES).counters);
        const found = Object.entries(this.#said)
          .filter(([name, said]) => Number(counted[name] ?? 0) !== said)
          .map(([name, said]) => `${name}: ${said} were sent, ${counted[name] ?? 0} were counted`);
        if (found.length === 0 || performance.now() > giveUpMs) return found;
        await delay(200);
      }
    } finally {
      redis.disconnect();
    }
  }
}
