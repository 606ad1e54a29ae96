import { setTimeout as delay } from 'node:timers/promises';
import { Redis, ReplyError } from 'ioredis';
import type { ChaosController } from '../controller.ts';
import type { ProcessCopy } from '../copies.ts';
import type { Deas } from '../deas.ts';
import type { ProxyMode } from '../proxy.ts';
import type { Random } from '../random.ts';
import { INTERVALS } from '../settings.ts';
import type { Stage } from '../stage.ts';
import type { Undisturbed } from '../undisturbed.ts';

/** What a fault acts on. */
export interface FaultTarget {
  stage: Stage;
  controller: ChaosController;
  deas: Deas;
  undisturbed: Undisturbed;
}

/** A fault whose parameters are drawn. */
export interface Fault {
  kind: string;
  /** Its parameters, for the log. */
  what: string;
  /** Resolves when everything works again, or when the cloud must recover although it does not. */
  run(target: FaultTarget): Promise<void>;
  /** The cloud must recover within this time (ms), where the policy allows more than usual. */
  recoversWithinMs?: number;
  /** Ends what lasts beyond the recovery. */
  repair?(target: FaultTarget): Promise<void>;
}

/** A kind of fault. */
export interface FaultKind {
  /** How often it is drawn, in proportion to the others; a multiple of 0.5. */
  weight: number;
  /** @param copies the names of all process copies */
  draw(random: Random, copies: readonly string[]): Omit<Fault, 'kind'>;
}

export const copyOf = ({ stage }: FaultTarget, name: string): ProcessCopy =>
  stage.copies.find((copy) => copy.name === name) as ProcessCopy;

export const formatSeconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** What was lost from Redis is built again within ten minutes where `droplet_lost` is 30 s (policy: self-healing). */
export const REBUILT_WITHIN_MS = 20 * INTERVALS.droplet_lost * 1000;

/** Sends a signal, unless the process has ended. */
export function signal(pid: number | undefined, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Stops a process for a while. Another fault may kill it meanwhile. */
export async function pauseProcess(pid: number | undefined, ms: number): Promise<void> {
  signal(pid, 'SIGSTOP');
  await delay(ms);
  signal(pid, 'SIGCONT');
}

/** Sets the proxies to a mode for a while. */
export async function setMode(proxies: { mode: ProxyMode }[], mode: ProxyMode, ms: number): Promise<void> {
  for (const proxy of proxies) proxy.mode = mode;
  await delay(ms);
  for (const proxy of proxies) if (proxy.mode === mode) proxy.mode = { kind: 'open' };
}

/** Works on Redis from outside. What Redis refuses, because of another fault, is tried again until it accepts it. */
export async function withRedis(
  { stage }: Pick<FaultTarget, 'stage'>,
  work: (redis: Redis) => Promise<void>,
): Promise<void> {
  const redis = new Redis(stage.redis.url, { retryStrategy: () => 100, maxRetriesPerRequest: null });
  redis.on('error', () => undefined); // another fault may have killed Redis, which will come back
  try {
    for (;;) {
      try {
        return await work(redis);
      } catch (error) {
        if (!(error instanceof ReplyError)) throw error;
        await delay(100);
      }
    }
  } finally {
    redis.disconnect();
  }
}
