/** The processes of the deployment in Redis: an entry for each, which it writes itself every few seconds. */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { parseJson } from '../../../model/parse-json.ts';
import { PROCESS_KINDS } from '../../../model/process-kinds.ts';
import type { RedisConnections } from '../../connection/connections.ts';

/** How often a process writes its entry. */
export const REGISTER_EVERY_MS = 2_000;
/** A process whose entry is older has ended, or does not reach Redis: five entries are missing. */
export const REGISTERED_FOR_MS = 10_000;
/** The entry of a process that has ended is kept for this long; the latest one of each kind for ever. */
export const ENDED_KEPT_MS = 600_000;

const Time = Type.Number({ minimum: 0 });
export const ProcessEntrySchema = Type.Object({
  kind: Type.Enum(PROCESS_KINDS),
  host: Type.String(),
  pid: Type.Integer(),
  version: Type.String(),
  /** Its start (epoch ms, as all times here). */
  sinceMs: Time,
  /** When it wrote this entry. */
  seenMs: Time,
  /** When it last did the work of its kind; absent: it has done none yet. */
  lastWorkMs: Type.Optional(Time),
  /** The longest delay of its event loop since its entry before (ms). */
  lagMs: Time,
  /** What it waits for, by part (`nats`, `redis`, `process`); absent: nothing. */
  problems: Type.Optional(Type.Record(Type.String(), Type.String())),
  /** Since when it waits. */
  problemSinceMs: Type.Optional(Time),
  /** When it ended; absent: it has not written that it ended. */
  stoppedMs: Type.Optional(Time),
});
export type ProcessEntry = Static<typeof ProcessEntrySchema>;

const processEntry = Compile(ProcessEntrySchema);

/** @param id of the process, unique over all starts */
export async function storeProcess(
  { client, keys }: Pick<RedisConnections, 'client' | 'keys'>,
  id: string,
  entry: ProcessEntry,
): Promise<void> {
  await client.hset(keys.processes, id, JSON.stringify(entry));
}

/** All entries, by id; also those of processes that have ended lately. Unreadable ones are left out. */
export async function readProcesses({
  client,
  keys,
}: Pick<RedisConnections, 'client' | 'keys'>): Promise<Map<string, ProcessEntry>> {
  const entries = new Map<string, ProcessEntry>();
  for (const [id, text] of Object.entries(await client.hgetall(keys.processes))) {
    const entry = parseJson(processEntry, text);
    if (entry !== undefined) entries.set(id, entry);
  }
  return entries;
}

/** Removes entries of processes that ended long ago, and unreadable ones. */
export async function removeEnded(
  redis: Pick<RedisConnections, 'client' | 'keys'>,
  nowMs: number,
): Promise<void> {
  const { client, keys } = redis;
  const [ids, entries] = await Promise.all([client.hkeys(keys.processes), readProcesses(redis)]);
  const latest = new Map<string, number>();
  for (const { kind, seenMs } of entries.values()) latest.set(kind, Math.max(seenMs, latest.get(kind) ?? 0));
  const ended = ids.filter((id) => {
    const entry = entries.get(id);
    if (entry === undefined) return true;
    return nowMs - entry.seenMs > ENDED_KEPT_MS && entry.seenMs !== latest.get(entry.kind);
  });
  if (ended.length > 0) await client.hdel(keys.processes, ...ended);
}
