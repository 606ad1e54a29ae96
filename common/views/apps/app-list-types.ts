/** The list of apps, as plain data. The reporter, the command line and the dashboard share these types. */
import type { TroubledDroplet } from './troubled-types.ts';

/** What may be wrong with an app. `held`: a hold keeps a start or stop back; `surplus`: it has instances that are not wanted. */
export const APP_PROBLEMS = ['missing', 'flapping', 'given-up', 'unplaced', 'held', 'surplus'] as const;
export type AppProblem = (typeof APP_PROBLEMS)[number];

/** `worst`: worst first, only apps that have a problem. */
export const APP_SORTS = ['guid', 'worst'] as const;
export type AppSort = (typeof APP_SORTS)[number];

export interface AppRow {
  droplet: string;
  wanted: number;
  /** Wanted slots with a live instance. */
  live: number;
  /** `STARTED`, `STOPPED`; absent: the controller does not list it. */
  state?: string;
  problems: AppProblem[];
  /** Only with a problem. */
  trouble?: TroubledDroplet;
}

export interface AppPage {
  nowMs: number;
  apps: AppRow[];
  /** For the next page; absent: this is the last one. */
  cursor?: string;
}
