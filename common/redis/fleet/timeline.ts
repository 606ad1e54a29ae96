/**
 * The past of the fleet in Redis, in steps: wanted slots, those with a live instance, the holds that were on. The last hour in
 * short steps, the last day in long ones. Its size is fixed.
 */
import { HOLD_NAMES, type HoldName } from '../../model/reasons.ts';
import type { RedisConnections } from '../connection/connections.ts';

/** Short enough to show how a lost host is replaced, long enough that an hour is a few hundred points. */
export const STEP_MS = 10_000;
/** An hour. Each field is overwritten after an hour, so none is ever removed. */
export const STEPS = 360;
/** The same for a day. A step keeps its worst point, so a short outage is not lost among the others. */
export const LONG_STEP_MS = 120_000;
export const LONG_STEPS = 720;

/** The fleet at one moment, from the latest audits. */
export interface TimelinePoint {
  atMs: number;
  /** Wanted slots. */
  wanted: number;
  /** Those with a live instance. */
  running: number;
  /** Those that are FLAPPING. */
  flapping: number;
  /** The holds that were on; of a long step all that were on within it. Absent: none. */
  holds?: readonly HoldName[];
}

/** Stores a point: of its short step the latest one stays, of its long step the worst one. */
export async function storePoint({ client, keys }: RedisConnections, point: TimelinePoint): Promise<void> {
  const { atMs } = point;
  const field = String(Math.floor(atMs / STEP_MS) % STEPS);
  const long = longField(atMs);
  const known = pointFrom((await client.hget(keys.timeline, long)) ?? '');
  const isSameStep = known !== undefined && longStep(known.atMs) === longStep(atMs);
  const worst = isSameStep ? worseOf(known, point) : point;
  await client.hset(keys.timeline, field, textOf(point), long, textOf(worst));
}

/** The points of the last hour, oldest first. Invalid ones are left out. */
export async function readTimeline(
  { client, keys }: RedisConnections,
  nowMs: number,
): Promise<TimelinePoint[]> {
  const fields = Array.from({ length: STEPS }, (_, field) => String(field));
  return pointsWithin(await client.hmget(keys.timeline, ...fields), STEP_MS * STEPS, STEP_MS, nowMs);
}

/** The worst point of each long step of the last day, oldest first. Invalid ones are left out. */
export async function readDay({ client, keys }: RedisConnections, nowMs: number): Promise<TimelinePoint[]> {
  const fields = Array.from({ length: LONG_STEPS }, (_, step) => longField(step * LONG_STEP_MS));
  const texts = await client.hmget(keys.timeline, ...fields);
  return pointsWithin(texts, LONG_STEP_MS * LONG_STEPS, LONG_STEP_MS, nowMs);
}

function longStep(atMs: number): number {
  return Math.floor(atMs / LONG_STEP_MS);
}

function longField(atMs: number): string {
  return `long ${longStep(atMs) % LONG_STEPS}`;
}

/** The one with more missing instances; of two alike the later. With the holds of both. */
function worseOf(a: TimelinePoint, b: TimelinePoint): TimelinePoint {
  const worse = a.wanted - a.running > b.wanted - b.running ? a : b;
  const holds = HOLD_NAMES.filter((hold) => a.holds?.includes(hold) || b.holds?.includes(hold));
  return { ...worse, ...(holds.length > 0 && { holds }) };
}

function pointsWithin(
  texts: readonly (string | null)[],
  lengthMs: number,
  stepMs: number,
  nowMs: number,
): TimelinePoint[] {
  return texts
    .map((text) => pointFrom(text ?? ''))
    .filter((point) => point !== undefined)
    .filter(({ atMs }) => atMs > nowMs - lengthMs && atMs <= nowMs + stepMs)
    .sort((a, b) => a.atMs - b.atMs);
}

function textOf({ atMs, wanted, running, flapping, holds = [] }: TimelinePoint): string {
  return [atMs, wanted, running, flapping, ...holds].join(' ');
}

function pointFrom(text: string): TimelinePoint | undefined {
  const [at, wanted, running, flapping, ...names] = text.split(' ');
  const numbers = [at, wanted, running, flapping].map((one) =>
    one === undefined ? Number.NaN : Number(one),
  );
  if (!numbers.every((number) => Number.isFinite(number) && number >= 0)) return undefined;
  const holds = HOLD_NAMES.filter((hold) => names.includes(hold));
  if (text === '' || holds.length !== names.length) return undefined;
  const [atMs = 0, ...slots] = numbers;
  const [ofWanted = 0, ofRunning = 0, ofFlapping = 0] = slots;
  const point = { atMs, wanted: ofWanted, running: ofRunning, flapping: ofFlapping };
  return { ...point, ...(holds.length > 0 && { holds }) };
}
