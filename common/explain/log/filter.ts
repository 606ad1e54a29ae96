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
  /** A part of the guid of the droplet, in any case. */
  droplet?: string;
  /** A part of the guid of the DEA that the fact names, in any case. */
  dea?: string;
}

type Facts = Pick<Fact, 'atMs' | 'kind' | 'reason' | 'exit' | 'hold' | 'droplet' | 'dea'>;

/** Whether the fact is to be shown. An empty filter shows all. */
export function isSelected(
  { atMs, kind, reason, exit, hold, ...of }: Facts,
  { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY, kinds, reasons, droplet, dea }: FactFilter,
): boolean {
  if (atMs < sinceMs || atMs > untilMs) return false;
  if (!hasPart(of.droplet, droplet) || !hasPart(of.dea, dea)) return false;
  if (kinds !== undefined && !kinds.includes(kind)) return false;
  return (
    reasons === undefined || [reason, exit, hold].some((one) => one !== undefined && reasons.includes(one))
  );
}

function hasPart(guid: string | undefined, part: string | undefined): boolean {
  return part === undefined || (guid?.toLowerCase().includes(part.toLowerCase()) ?? false);
}
