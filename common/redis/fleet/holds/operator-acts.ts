/** What operators do: each act is stored, and its entry in the decision log names who did it. */
import { randomBytes } from 'node:crypto';
import type { LogEntry } from '../../../model/decision-log.ts';
import type { Droplet } from '../../../model/droplet.ts';
import type { OperatorHold } from '../../../model/operator-hold.ts';
import type { PolicySettings } from '../../../policy/settings.ts';
import { isGivenUp } from '../../../policy/slots/flapping.ts';
import { isWanted } from '../../../policy/slots/wanted.ts';
import type { RedisConnections } from '../../connection/connections.ts';
import { appendLogEntry } from '../../scripts/operator/append-log-entry.ts';
import { placeOperatorHold } from '../../scripts/operator/place-operator-hold.ts';
import { requestRetry } from '../../scripts/operator/request-retry.ts';
import { requeueTroubled } from '../../scripts/operator/requeue-troubled.ts';
import { type ReleasableHold, requestRelease } from './holds.ts';
import { removeOperatorHold } from './operator-holds.ts';

type Redis = Pick<RedisConnections, 'client' | 'keys' | 'scripts'>;

/** Who acts, and when (epoch ms on the deployment's clock). */
export interface Actor {
  by: string;
  nowMs: number;
}

/** What is to be paused. */
export type HoldRequest = Pick<OperatorHold, 'covers' | 'droplet' | 'dea' | 'why'> & { durationMs: number };

/** Pauses what the request names. @returns full: as many holds as there may be are on */
export async function pause(
  redis: Redis,
  { durationMs, ...request }: HoldRequest,
  { by, nowMs }: Actor,
): Promise<OperatorHold | 'full'> {
  const id = randomBytes(3).toString('hex');
  const hold: OperatorHold = { id, ...request, by, sinceMs: nowMs, untilMs: nowMs + durationMs };
  if ((await placeOperatorHold(redis, hold)) === 'full') return 'full';
  await appendLogEntry(redis, { ...holdEntry(hold), act: 'hold', by, atMs: nowMs });
  return hold;
}

/**
 * Ends a hold, and makes due what it held back. If the caller dies in between, it is reconciled within `droplet_lost`.
 *
 * @returns the hold; undefined if there is none of this id, or it has ended
 */
export async function resume(
  redis: Redis,
  id: string,
  { by, nowMs }: Actor,
): Promise<OperatorHold | undefined> {
  const hold = await removeOperatorHold(redis, id, nowMs);
  if (hold === undefined) return undefined;
  const { untilMs: _, note: __, ...about } = holdEntry(hold);
  await appendLogEntry(redis, { ...about, act: 'end_hold', by, atMs: nowMs });
  await requeueTroubled(redis, nowMs);
  return hold;
}

function holdEntry({ id, covers, droplet = '', dea, why, untilMs }: OperatorHold) {
  const about = { kind: 'operator', droplet, covers, holdId: id, note: why, untilMs } as const;
  return { ...about, ...(dea !== undefined && { dea }) };
}

/** Requests the end of `mass_loss` or `mass_delete`: the next tick ends the one, the next complete pass the other. */
export async function release(redis: Redis, hold: ReleasableHold, { by, nowMs }: Actor): Promise<void> {
  await requestRelease(redis, hold, nowMs);
  await appendLogEntry(redis, { kind: 'operator', act: 'release', droplet: '', hold, by, atMs: nowMs });
}

/** Requests a bulk sync: a sync process begins it within a second. */
export async function syncNow(redis: Redis, { by, nowMs }: Actor): Promise<void> {
  await redis.client.hset(redis.keys.syncState, 'requested', nowMs);
  await appendLogEntry(redis, { kind: 'operator', act: 'sync', droplet: '', by, atMs: nowMs });
}

/** Requests another try of slots. @returns false if there is no record of the droplet */
export async function retry(
  redis: Redis,
  { droplet, indices }: { droplet: string; indices: readonly number[] },
  { by, nowMs }: Actor,
): Promise<boolean> {
  const about = { kind: 'operator', act: 'retry', droplet } as const;
  const entry: LogEntry = { ...about, indices: [...indices], by, atMs: nowMs };
  return (await requestRetry(redis, { droplet, indices, entry })) === 'stored';
}

/**
 * The wanted slots that a retry helps: those that are given up, wait for a flapping restart, or had starts without effect.
 *
 * @param index only this one
 */
export function retryableIndices(
  droplet: Droplet,
  nowMs: number,
  settings: PolicySettings,
  index?: number,
): number[] {
  return [...droplet.slots.values()]
    .filter((slot) => slot.version === droplet.desired?.version && isWanted(droplet, slot.index))
    .filter((slot) => isGivenUp(slot, nowMs, settings) || slot.flapping || slot.attempts !== undefined)
    .map((slot) => slot.index)
    .filter((one) => index === undefined || one === index)
    .sort((a, b) => a - b);
}
