/** The last hour of the fleet, in steps: what was wanted and what of it ran. Kept in Redis, bounded by its shape. */
import type { RedisConnections } from './connections.ts';

/** Short enough to see a lost host healed, long enough that an hour is a few hundred points. */
export const STEP_MS = 10_000;
/** An hour. The fields are used in turn, so none is ever to be removed. */
export const STEPS = 360;

/** The fleet at one moment, as the latest audits counted it. */
export interface TimelinePoint {
  atMs: number;
  /** Wanted slots. */
  wanted: number;
  /** Those with a live instance. */
  running: number;
  /** Those that are FLAPPING. */
  flapping: number;
}

/** Stores a point; of several within one step the latest stays. */
export async function storePoint({ client, keys }: RedisConnections, point: TimelinePoint): Promise<void> {
  const { atMs, wanted, running, flapping } = point;
  const field = Math.floor(atMs / STEP_MS) % STEPS;
  await client.hset(keys.timeline, String(field), `${atMs} ${wanted} ${running} ${flapping}`);
}

/** The points of the last hour, oldest first. What somebody edited into no point is left out. */
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
