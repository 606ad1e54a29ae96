/** Why something is decided, held, dropped or ended. Each list stands here once; types and schemas are derived from it. */

/** How urgent a start is, most urgent first. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Reasons that answer an event. An event is received once, so a start that is held remembers which one it answers. */
export const EVENT_START_REASONS = ['crashed', 'evacuated', 'flapping'] as const;
export type EventStartReason = (typeof EVENT_START_REASONS)[number];

/** Why a start is decided. */
export const START_REASONS = ['missing', ...EVENT_START_REASONS] as const;
export type StartReason = (typeof START_REASONS)[number];

/** A `flapping` restart waits out its delay in a queue of its own, so its priority only matters to readers. */
export const START_PRIORITY: Readonly<Record<StartReason, Priority>> = {
  missing: 'normal',
  crashed: 'low',
  evacuated: 'high',
  flapping: 'high',
};

/** Why a stop is decided. */
export const STOP_REASONS = [
  'stopped',
  'extra_index',
  'wrong_version',
  'duplicate',
  'evacuation_complete',
  'extra_app',
] as const;
export type StopReason = (typeof STOP_REASONS)[number];

/** Conditions under which some decisions are not made, in the order in which they are shown. */
export const HOLD_NAMES = [
  'desired_unavailable',
  'update_required',
  'actual_not_fresh',
  'mass_loss',
  'mass_delete',
  'operator',
] as const;
export type HoldName = (typeof HOLD_NAMES)[number];

/** Why an instance ended, as `droplet.exited` gives it. */
export const EXIT_REASONS = ['CRASHED', 'STOPPED', 'DEA_SHUTDOWN', 'DEA_EVACUATION'] as const;
export type ExitReason = (typeof EXIT_REASONS)[number];

/** Every name of why something happened, by which decisions are selected. */
export const REASONS = [...START_REASONS, ...STOP_REASONS, ...EXIT_REASONS, ...HOLD_NAMES] as const;

/** What became of a decided start or stop: published, or found to be wrong by its recheck. */
export const OUTCOMES = ['sent', 'dropped'] as const;

/** Why a decided start or stop is not sent, or is taken back before it is sent. */
export type DropReason =
  /** The record no longer holds this decision: another replaced it, or it was taken back. */
  | 'superseded'
  /** It has an outcome already. */
  | 'done'
  /** The slot has a live instance. */
  | 'live'
  /** The slot is not wanted any more, or its version is not the live one. */
  | 'not_wanted'
  /** The slot crashed too often. */
  | 'given_up'
  /** Every instance of the app has crashed, and only one of them is restarted at first (`probe_crashed_apps`). */
  | 'probing'
  /** A `droplet.updated` was received, which resets the crash count. */
  | 'updated'
  /** An operator asked for another try, which resets the crash count and the attempts. */
  | 'retried'
  /** An update or a STOPPED exit started a new grace period of the slot. */
  | 'in_grace_period'
  /** The instance to stop does not run any more. */
  | 'gone'
  /** The instance is not surplus any more. */
  | 'not_surplus'
  /** The controller's own check would refuse it. */
  | 'refused'
  /** It was not sent soon enough after its recheck, so what the recheck found may have changed. */
  | 'late'
  | `held:${HoldName}`;
