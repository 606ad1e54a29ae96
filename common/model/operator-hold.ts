/** The hold `operator`: what an operator pauses by hand (policy: holds). */

/** What an operator may pause. */
export const HOLD_COVERS = ['starts', 'stops', 'all'] as const;
export type HoldCovers = (typeof HOLD_COVERS)[number];

/** A pause that an operator asked for. It covers everything, unless it names a droplet or a DEA. */
export interface OperatorHold {
  /** Short and random; `hm hold end` takes it. */
  id: string;
  covers: HoldCovers;
  /** Only this droplet. Never together with `dea`. */
  droplet?: string;
  /** Only starts that replace an instance of this DEA, and stops of its instances. */
  dea?: string;
  /** The reason that the operator gave. */
  why: string;
  /** Who asked for it: a login, or the user of a machine. */
  by: string;
  sinceMs: number;
  /** It ends at this time, unless an operator ends it before. */
  untilMs: number;
}

/** A hold without another end ends after an hour. */
export const DEFAULT_HOLD_MS = 3_600_000;
/** The longest hold: a forgotten one must not stop the health manager for good. */
export const MAX_HOLD_MS = 24 * 3_600_000;
/** Holds that are on at once: each decision reads all of them. */
export const MAX_OPERATOR_HOLDS = 100;
/** Longest reason of a hold (characters). */
export const MAX_WHY_LENGTH = 300;

/** What an operator did, as the decision log names it. */
export const OPERATOR_ACTS = ['hold', 'end_hold', 'release', 'sync', 'retry'] as const;
export type OperatorAct = (typeof OPERATOR_ACTS)[number];
