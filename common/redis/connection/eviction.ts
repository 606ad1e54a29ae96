import { Cluster } from 'ioredis';
import type { Health } from '../../runtime/health.ts';
import type { Logger } from '../../runtime/log/log.ts';
import type { RedisClient } from '../scripts/scripts.ts';

/** Why this Redis may remove keys, from the reply of INFO; undefined if it does not, or does not show its policy. */
export function evictionRisk(info: string): string | undefined {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy === undefined || policy === 'noeviction') return undefined;
  return `may evict keys (maxmemory-policy ${policy}): set maxmemory-policy noeviction`;
}

/** Warns in the log and in `/readyz` if a Redis may evict keys: what it evicts is missing until it is built again. */
export async function warnOfEviction(client: RedisClient, log: Logger, health: Health): Promise<void> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  // A login may lack the right to INFO.
  const risks = await Promise.all(
    nodes.map((node) => node.info('memory').then(evictionRisk, () => undefined)),
  );
  const risk = risks.find((text) => text !== undefined);
  health.warn('redis', risk);
  if (risk !== undefined) log.warn({ event: 'redis_may_evict', problem: risk }, 'redis may evict keys');
}
