import { parseHeartbeat } from '../../../common/messages/incoming/incoming.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import type { Claim, Refusal } from '../../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';
import { ATTRIBUTES, SPANS, setSpanAttributes, traced } from '../../../common/tracing/tracing.ts';
import type { IngestMetrics } from '../../metrics.ts';
import type { HeartbeatOutcome, RawHeartbeat } from '../raw-heartbeat.ts';
import type { BeforeRebuild } from '../verification/lost-records.ts';
import { storeChangedHeartbeat } from './store-changed.ts';
import { NOTHING_REPAIRED, type RepairedByHeartbeat } from './stored-heartbeat.ts';

interface Options {
  redis: RedisConnections;
  metrics: IngestMetrics;
  ccPartition: string;
  dropletLostMs: number;
  /** Reports a rejected heartbeat or rejected entries of one. */
  rejected(reason: string, detail: Record<string, unknown>): void;
  /** Reports what the heartbeat has built again in Redis. */
  repaired(dea: string, repaired: RepairedByHeartbeat): void;
  /** Called before lost records are built again. @returns when it may be done, and for which of them (see `LostRecords`) */
  beforeRebuild: BeforeRebuild;
  /** Reports what records did not take. */
  refused(dea: string, claims: readonly Claim[], refusals: readonly Refusal[]): void;
}

/**
 * Parses a changed heartbeat of `dea`, stores it in a span of its own, and counts the result.
 *
 * @returns what became of it; when its claims may apply (epoch ms), unless the DEA sends another heartbeat before; unfinished if it
 * must wait for another ingestor
 */
export async function parseAndStore(
  options: Options,
  dea: string,
  raw: RawHeartbeat,
): Promise<{ outcome: HeartbeatOutcome; retryAtMs?: number } | 'unfinished'> {
  const { ccPartition, rejected, redis, dropletLostMs, metrics } = options;
  const parsed = parseHeartbeat(raw.bytes, ccPartition);
  if (!('ok' in parsed)) {
    rejected(parsed.reject, { dea });
    return { outcome: 'invalid' };
  }
  const heartbeat = parsed.ok;
  const result = await traced(SPANS.heartbeat, { [ATTRIBUTES.dea]: heartbeat.dea }, async () => {
    const stored = await storeChangedHeartbeat(redis, dropletLostMs, heartbeat, raw, options.beforeRebuild);
    if (stored === 'unfinished') return stored;
    if (stored.repaired !== NOTHING_REPAIRED) options.repaired(heartbeat.dea, stored.repaired);
    const { claims } = stored;
    if (claims.length > 0 || stored.refusals.length > 0)
      options.refused(heartbeat.dea, claims, stored.refusals);
    setSpanAttributes({ [ATTRIBUTES.droplets]: stored.droplets, [ATTRIBUTES.stale]: stored.stale });
    return stored;
  });
  if (result === 'unfinished') return result;
  for (const { reason, count } of heartbeat.rejected)
    rejected(reason, { dea: heartbeat.dea, entries: count });
  const { droplets, stale, isEqual, retryAtMs, refusals } = result;
  if (stale) metrics.heartbeatsCoalesced.inc();
  else if (isEqual) metrics.heartbeatsVerified.inc();
  else metrics.heartbeatsChanged.inc();
  metrics.dropletsChanged.inc(droplets);
  const isRefused = refusals.some(({ reason }) => reason === 'too_many_deas');
  return { outcome: isRefused ? 'not_stored' : 'stored', ...(retryAtMs !== undefined && { retryAtMs }) };
}
