import type { Exited } from '../common/messages/incoming.ts';
import { exitStandsForMs } from '../common/policy/liveness.ts';
import type { PolicySettings } from '../common/policy/settings.ts';
import type { Clock } from '../common/redis/clock.ts';
import type { RedisConnections } from '../common/redis/connections.ts';
import { encodeReceivedExit } from '../common/redis/record-codec.ts';
import { ATTRIBUTES, noteOnSpan, traceFields } from '../common/tracing/tracing.ts';

/** About so many events are kept in a stream after they were handled; unhandled ones are droplets in the due lists too. */
const STREAM_LENGTH = 10_000;

/** What an event entry of a stream says: a droplet's name, all else is read anew. */
export type EventKind = 'exit' | 'update';

/**
 * Stores the end of an instance and wakes the analyzers.
 *
 * In a cluster the record comes first: should this process die before the event is in the stream, the droplet is due and
 * the next tick finds it.
 *
 * @param waitedMs that it may have waited to be handled: a start that was sent meanwhile is not what it ends. (That of a
 *   STOPPED one counts from now: whoever stopped it gets its time to start another.)
 * @returns false if that end is known already, and still stands
 */
export async function storeExit(
  redis: RedisConnections,
  clock: Clock,
  exited: Exited,
  policy: Pick<PolicySettings, 'dropletLostMs'>,
  waitedMs = 0,
): Promise<boolean> {
  const { isCluster, keys, scripts } = redis;
  const { droplet } = exited;
  const slice = keys.sliceOf(droplet);
  const nowMs = clock.nowMs();
  const atMs = nowMs - (exited.reason === 'STOPPED' ? 0 : Math.ceil(waitedMs));
  const words = encodeReceivedExit({ ...exited, atMs });
  const stored = await scripts.storeExit(
    [
      keys.droplet(droplet),
      keys.due(slice),
      keys.indexOf(droplet),
      ...(isCluster ? [] : [keys.events(slice)]),
    ],
    [
      ...[droplet, exited.instance, words, nowMs, exited.reason, exitStandsForMs(policy)],
      ...[STREAM_LENGTH, ...eventFields('exit', droplet)],
    ],
  );
  noteOnSpan({ [ATTRIBUTES.news]: stored === 1 });
  if (stored === 1 && isCluster) await tell(redis, 'exit', droplet);
  return stored === 1;
}

/** Stores that the controller changed a droplet, and wakes the analyzers. */
export async function storeUpdate(redis: RedisConnections, clock: Clock, droplet: string): Promise<void> {
  const { keys, scripts } = redis;
  await scripts.storeUpdate(
    [keys.droplet(droplet), keys.due(keys.sliceOf(droplet)), keys.indexOf(droplet)],
    [droplet, clock.nowMs()],
  );
  await tell(redis, 'update', droplet);
}

async function tell({ client, keys }: RedisConnections, kind: EventKind, droplet: string): Promise<void> {
  const stream = keys.events(keys.sliceOf(droplet));
  await client.xadd(stream, 'MAXLEN', '~', STREAM_LENGTH, '*', ...eventFields(kind, droplet));
}

function eventFields(kind: EventKind, droplet: string): string[] {
  return ['kind', kind, 'droplet', droplet, ...traceFields()];
}

/**
 * Stores that a DEA said it would leave. Its digest goes, so that a heartbeat of a DEA that stays after all is stored
 * whole, and takes the mark away.
 */
export async function storeShutdown(
  { client, keys }: RedisConnections,
  clock: Clock,
  dea: string,
): Promise<void> {
  await client.hset(keys.deasShutdown, dea, clock.nowMs());
  await client.hdel(keys.deasDigest, dea);
}
