/** The words and options of `hm hold`. */
import type { ConfigOption } from '../options.ts';

export interface HoldOptions extends ConfigOption {
  droplet?: string;
  dea?: string;
  /** How long (ms). */
  for?: number;
  why?: string;
  json?: boolean;
  utc?: boolean;
}

/** What `hm hold` does: pauses something, lists the pauses, or ends one. */
export const HOLD_WORDS = ['starts', 'stops', 'all', 'list', 'end'] as const;
export type HoldWord = (typeof HOLD_WORDS)[number];
