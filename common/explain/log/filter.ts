/** Which facts of a story are shown: by time, kind and reason. Pure. */
import type { Fact, FactKind } from '../facts.ts';

/** Reasons of starts and stops, reasons of exits, and names of holds: each names why something happened. */
export interface FactFilter {
  /** Nothing before this time (epoch ms). */
  sinceMs?: number;
  /** Nothing after this time (epoch ms). */
  untilMs?: number;
  /** One of these kinds. */
  kinds?: readonly FactKind[];
  /** Decided for one of these reasons, ended for it, or held by it. */
  reasons?: readonly string[];
}

/** Whether the fact is to be shown. An empty filter shows all. */
export function isSelected(
  { atMs, kind, reason, exit, hold }: Pick<Fact, 'atMs' | 'kind' | 'reason' | 'exit' | 'hold'>,
  { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY, kinds, reasons }: FactFilter,
): boolean {
  if (atMs < sinceMs || atMs > untilMs) return false;
  if (kinds !== undefined && !kinds.includes(kind)) return false;
  return (
    reasons === undefined || [reason, exit, hold].some((one) => one !== undefined && reasons.includes(one))
  );
}
