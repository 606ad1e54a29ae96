/** The last hour of the fleet in Redis, in steps: wanted slots, and those with a live instance. Its size is fixed. */
import type { RedisConnections } from '../connection/connections.ts';

/** Short enough to show how a lost host is replaced, long enough that an hour is a few hundred points. */
export const STEP_MS = 10_000;
/** An hour. Each field is overwritten after an hour, so none is ever removed. */
export const STEPS = 360;

/** The fleet at one moment, from the latest audits. */
export interface TimelinePoint {
  atMs: number;
  /** Wanted slots. */
  wanted: number;
  /** Those with a live instance. */
  running: number;
  /** Those that are FLAPPING. */
  flapping: number;
}

/** Stores a point; the latest one within a step stays. */
export async function storePoint({ client, keys }: RedisConnections, point: TimelinePoint): Promise<void> {
  const { atMs, wanted, running, flapping } = point;
  const field = Math.floor(atMs / STEP_MS) % STEPS;
  await client.hset(keys.timeline, String(field), `${atMs} ${wanted} ${running} ${flapping}`);
}

/** The points of the last hour, oldest first. Invalid ones are left out. */
export async function readTimeline(
  { client, keys }: RedisConnections,
  nowMs: number,
): Promise<TimelinePoint[]> {
  return Object.values(await client.hgetall(keys.timeline))
    .map(pointFrom)
    .filter((point) => point !== undefined)
    .filter(({ atMs }) => atMs > nowMs - STEP_MS * STEPS && atMs <= nowMs + STEP_MS)
    .sort((a, b) => a.atMs - b.atMs);
}

function pointFrom(text: string): TimelinePoint | undefined {
  const numbers = text.split(' ').map(Number);
  const [atMs, wanted, running, flapping] = numbers;
  if (numbers.length !== 4 || !numbers.every((number) => Number.isFinite(number) && number >= 0)) return;
  return { atMs, wanted, running, flapping } as TimelinePoint;
}
