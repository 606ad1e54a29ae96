/** The next step for a wanted slot without a live instance, as data and as text. Pure; the dashboard uses it too. */
import type { HoldName, Priority, StartReason } from '../../model/reasons.ts';
import { dropText, formatDuration, type Times } from '../wording.ts';

/** What the health manager does next about the slot, and when. Times are epoch ms. */
export type Step =
  /** It crashed too often: no start before `untilMs`, unless the app is changed. */
  | { kind: 'given_up'; untilMs: number }
  /** Its start was dropped by the recheck; the droplet is reconciled again. */
  | { kind: 'dropped'; why?: string }
  /** Starts of it had no effect: it is tried again at `untilMs`. */
  | { kind: 'retry'; untilMs: number }
  /** Its start was sent; it is sent again at `retryAtMs` if no heartbeat lists an instance. */
  | { kind: 'sent'; reason: StartReason; atMs: number; retryAtMs: number }
  /** A flapping restart is due. */
  | { kind: 'restart'; dueMs: number }
  /** Its start is queued; `noNudger`: no nudger takes jobs. */
  | { kind: 'queued'; reason: StartReason; priority: Priority; sinceMs: number; noNudger?: true }
  /** A hold prevents its start. */
  | { kind: 'held'; hold: HoldName }
  /** It is in its grace period. */
  | { kind: 'grace'; untilMs: number }
  /** It is reconciled within seconds. */
  | { kind: 'soon' };

/** A wanted slot without a live instance. */
export interface Absent {
  state: 'GIVEN UP' | 'UNPLACED' | 'FLAPPING' | 'MISSING';
  /** Crashes in a row. */
  crashes: number;
  lastCrashMs?: number;
  /** `exit status 137, out of memory`: what the DEA reported of the last crash; absent: nothing. */
  lastCrash?: string;
  /** Starts in a row that had no effect; absent: none. */
  attempts?: number;
  step: Step;
}

/** Its crashes and its next step, in one line. */
export function absentText(
  { crashes, lastCrashMs, lastCrash, attempts, step }: Absent,
  nowMs: number,
  times: Times,
): string {
  const parts = [
    crashesText(crashes, lastCrashMs, nowMs, lastCrash),
    attempts === undefined ? '' : attemptsText(attempts),
    stepText(step, nowMs, times),
  ];
  return parts.filter((part) => part !== '').join('; ');
}

/** `3 starts in a row had no effect` */
export function attemptsText(attempts: number): string {
  return attempts === 1 ? 'the last start had no effect' : `${attempts} starts in a row had no effect`;
}

/** `crashed (exit status 1) once, 3 s ago`; `3 crashes in a row, the last 12 s ago (exit status 1)`; empty without a crash */
export function crashesText(
  crashes: number,
  lastCrashMs: number | undefined,
  nowMs: number,
  lastCrash?: string,
): string {
  if (crashes === 0) return '';
  const ago = lastCrashMs === undefined ? '' : `${formatDuration(nowMs - lastCrashMs)} ago`;
  const cause = lastCrash === undefined ? '' : ` (${lastCrash})`;
  if (crashes === 1) return `crashed${cause} once${ago && `, ${ago}`}`;
  return `${crashes} crashes in a row${ago && `, the last ${ago}`}${cause}`;
}

function stepText(step: Step, nowMs: number, times: Times): string {
  switch (step.kind) {
    case 'given_up':
      return `next try ${at(step.untilMs, nowMs, times)}, or when the app is changed`;
    case 'retry':
      return `next try ${at(step.untilMs, nowMs, times)}, or when the app is changed`;
    case 'dropped':
      return `start dropped: ${dropText(step.why)}; reconciled again at once`;
    case 'sent':
      return `start (${step.reason}) sent ${formatDuration(nowMs - step.atMs)} ago; sent again ${at(step.retryAtMs, nowMs, times)}, if no heartbeat lists it`;
    case 'restart':
      return step.dueMs > nowMs
        ? `restart due ${at(step.dueMs, nowMs, times)}`
        : `restart was due ${formatDuration(nowMs - step.dueMs)} ago`;
    case 'queued':
      return step.noNudger
        ? `start (${step.reason}) waits for a nudger for ${formatDuration(nowMs - step.sinceMs)}: no nudger takes jobs`
        : `start (${step.reason}) queued for ${formatDuration(nowMs - step.sinceMs)}, priority ${step.priority}`;
    case 'held':
      return `not started: hold ${step.hold}`;
    case 'grace':
      return `in its grace period; started ${at(step.untilMs, nowMs, times)}, if no heartbeat lists it`;
    case 'soon':
      return 'about to be reconciled';
  }
}

/** `in 43 s, at 15:16:54` */
function at(ms: number, nowMs: number, times: Times): string {
  return ms <= nowMs ? 'now' : `in ${formatDuration(ms - nowMs)}, at ${times.at(ms)}`;
}
