import type { Exited } from '../common/messages/incoming/incoming.ts';
import type { PolicySettings } from '../common/policy/settings.ts';
import { exitInForceMs } from '../common/policy/thresholds.ts';
import type { Clock } from '../common/redis/clock.ts';
import type { RedisConnections } from '../common/redis/connection/connections.ts';
import { storeShutdown as storeShutdownOfDea } from '../common/redis/scripts/deas/store-shutdown.ts';
import { storeExit as storeExitRecord } from '../common/redis/scripts/events/store-exit.ts';
import { storeExitWithEvent } from '../common/redis/scripts/events/store-exit-with-event.ts';
import { storeUpdate as storeUpdateRecord } from '../common/redis/scripts/events/store-update.ts';
import { ATTRIBUTES, setSpanAttributes, traceFields } from '../common/tracing/tracing.ts';

/** Approximate length to which streams are trimmed. A trimmed event is not lost: its droplet is in the due list too. */
const STREAM_LENGTH = 10_000;

/**
 * Stores the exit of an instance and adds an event for the analyzers.
 *
 * In a cluster the record is written before the event, because they are on different nodes. If this process dies in between,
 * the droplet is due and the next tick finds it.
 *
 * @param stallMs how long the message may have waited in this process (ms). The exit is dated back by it, so that it does
 *   not end a start that was sent meanwhile. A STOPPED exit is not: its slot gets the full grace period from now.
 * @returns false if a valid exit of that instance is stored already
 */
export async function storeExit(
  redis: RedisConnections,
  clock: Clock,
  exited: Exited,
  settings: Pick<PolicySettings, 'dropletLostMs'>,
  stallMs = 0,
): Promise<boolean> {
  const { droplet } = exited;
  const nowMs = clock.nowMs();
  const atMs = nowMs - (exited.reason === 'STOPPED' ? 0 : Math.ceil(stallMs));
  const exit = { droplet, exit: { ...exited, atMs }, nowMs, standsMs: exitInForceMs(settings) };
  const result = redis.isCluster
    ? await storeExitRecord(redis, exit)
    : await storeExitWithEvent(redis, exit, {
        event: eventFields(droplet),
        streamLength: STREAM_LENGTH,
      });
  const isNew = result === 'stored';
  setSpanAttributes({ [ATTRIBUTES.isNew]: isNew });
  if (isNew && redis.isCluster) await addEvent(redis, droplet);
  return isNew;
}

/**
 * Stores that the controller changed a droplet, which is due then. It adds no event: what can be decided waits for the bulk sync
 * that the update asks for, and thousands of updates at once would delay the crashes behind them.
 */
export async function storeUpdate(redis: RedisConnections, clock: Clock, droplet: string): Promise<void> {
  await storeUpdateRecord(redis, { droplet, nowMs: clock.nowMs() });
}

async function addEvent({ client, keys }: RedisConnections, droplet: string): Promise<void> {
  const stream = keys.events(keys.sliceOf(droplet));
  await client.xadd(stream, 'MAXLEN', '~', STREAM_LENGTH, '*', ...eventFields(droplet));
}

/** An event names its droplet; the analyzer reads all else from the record. */
function eventFields(droplet: string): string[] {
  return ['kind', 'exit', 'droplet', droplet, ...traceFields()];
}

/**
 * Stores that a DEA announced its shutdown. Of a DEA without a heartbeat it is kept for `droplet_lost`, because another ingestor may store
 * an earlier heartbeat later. A heartbeat that was surely delivered later removes the mark.
 */
export async function storeShutdown(
  redis: RedisConnections,
  dea: string,
  receivedMs: number,
  { dropletLostMs }: Pick<PolicySettings, 'dropletLostMs'>,
): Promise<void> {
  await storeShutdownOfDea(redis, { dea, receivedMs, keptMs: dropletLostMs });
}
