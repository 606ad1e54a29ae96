/** The points of the chart. Pure. */
import { LONG_STEP_MS, type TimelinePoint } from '../../../../common/redis/fleet/timeline.ts';
import type { FleetUpdate, HoldUpdate } from '../../../api/types.ts';

/** What the chart can show (hours). */
export const RANGES = [1, 6, 24] as const;
export type Range = (typeof RANGES)[number];

/** Points of the last hour are ten seconds apart; over a longer gap it was not known what ran. */
const GAP_MS = 35_000;
const LONG_GAP_MS = 2.5 * LONG_STEP_MS;

/** A point of the chart; in a gap it has no values. */
export type ChartPoint = Omit<TimelinePoint, 'wanted' | 'running'> & {
  wanted: number | null;
  running: number | null;
};

export interface Past {
  points: readonly TimelinePoint[];
  day: readonly TimelinePoint[];
}

/** The points of a range, with what runs now as the last one. */
export function pointsOf(
  { points, day }: Past,
  range: Range,
  now?: { atMs: number; slots: FleetUpdate['slots']; holds: readonly HoldUpdate[] },
): TimelinePoint[] {
  const past = range === 1 ? points : day;
  const latestMs = past.at(-1)?.atMs;
  if (latestMs === undefined) return [];
  const atMs = Math.max(now?.atMs ?? 0, latestMs + 1);
  const fromMs = (now === undefined ? latestMs : atMs) - range * 3_600_000;
  const shown = past.filter((point) => point.atMs > fromMs);
  if (now === undefined) return shown;
  const { wanted, running, flapping } = now.slots;
  const holds = now.holds.map(({ hold }) => hold).filter((hold) => hold !== 'update_required');
  return [...shown, { atMs, wanted, running, flapping, ...(holds.length > 0 && { holds }) }];
}

/** With an empty point in each gap, so that no line is drawn over it. */
export function withGaps(points: readonly TimelinePoint[], range: Range): ChartPoint[] {
  const gapMs = range === 1 ? GAP_MS : LONG_GAP_MS;
  return points.flatMap((point, at): ChartPoint[] => {
    const before = points[at - 1];
    if (before === undefined || point.atMs - before.atMs <= gapMs) return [point];
    return [{ atMs: before.atMs + 1, wanted: null, running: null, flapping: 0 }, point];
  });
}

/** The times in which a hold was on (epoch ms): from its first point to the first one without. */
export function holdSpans(points: readonly ChartPoint[]): { fromMs: number; toMs: number }[] {
  const spans: { fromMs: number; toMs: number }[] = [];
  let isOn = false;
  for (const { atMs, holds } of points) {
    const last = spans.at(-1);
    if (isOn && last !== undefined) last.toMs = atMs;
    if (holds !== undefined && !isOn) spans.push({ fromMs: atMs, toMs: atMs });
    isOn = holds !== undefined;
  }
  return spans;
}

/** The point with the most missing instances; of several the first. */
export function worstOf(points: readonly TimelinePoint[]): TimelinePoint | undefined {
  let worst = points[0];
  for (const point of points) {
    if (worst === undefined || point.wanted - point.running > worst.wanted - worst.running) worst = point;
  }
  return worst;
}
