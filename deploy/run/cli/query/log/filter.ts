/** The options that select events and decisions: `--since --until --kind --reason`. */
import type { FactKind } from '../../../../../common/explain/facts.ts';
import type { FactFilter } from '../../../../../common/explain/log/filter.ts';
import type { Moment } from '../../../../../common/explain/log/moment.ts';

/** The maximum number of past entries that `watch` shows. */
export const MAX_SINCE = 10_000;

export interface FilterOptions {
  since?: Moment;
  until?: Moment;
  kind?: FactKind[];
  reason?: string[];
}

/** Whether any of the options is given. */
export function hasFilter({ since, until, kind, reason }: FilterOptions): boolean {
  return [since, until, kind, reason].some((option) => option !== undefined);
}

/** The filter, at this time (epoch ms). */
export function filterOf({ since, until, kind, reason }: FilterOptions, nowMs: number): FactFilter {
  return {
    ...(since !== undefined && { sinceMs: since(nowMs) }),
    ...(until !== undefined && { untilMs: until(nowMs) }),
    ...(kind !== undefined && { kinds: kind }),
    ...(reason !== undefined && { reasons: reason }),
  };
}
