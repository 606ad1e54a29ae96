/** What is done about a wanted slot that has no live instance: as data, and in words. Pure, also for browsers. */
import type { HoldName, Priority, StartReason } from '../model/reasons.ts';
import { dropText, formatDuration, type Times } from './wording.ts';

/** What is done about it, and when. Times are epoch ms. */
export type Step =
  /** It crashed too often: nothing before then, unless the app is changed. */
  | { kind: 'given_up'; untilMs: number }
  /** Its start was no longer right when it was to leave; it is looked at again. */
  | { kind: 'dropped'; why?: string }
  /** Its start was sent, and is asked for again then if nothing is heard. */
  | { kind: 'sent'; reason: StartReason; atMs: number; againMs: number }
  /** A flapping restart is due then. */
  | { kind: 'restart'; dueMs: number }
  /** Its start waits in the queue. */
  | { kind: 'waits'; reason: StartReason; priority: Priority; sinceMs: number }
  /** A hold keeps it from being started. */
  | { kind: 'held'; hold: HoldName }
  /** It has time until then to show. */
  | { kind: 'grace'; untilMs: number }
  /** It is about to be looked at. */
  | { kind: 'soon' };

/** A wanted slot without a live instance. */
export interface Absent {
  state: 'GIVEN UP' | 'FLAPPING' | 'MISSING';
  /** Crashes in a row. */
  crashes: number;
  lastCrashMs?: number;
  step: Step;
}

/** All that is to be said of it, in one line. */
export function absentText({ crashes, lastCrashMs, step }: Absent, nowMs: number, times: Times): string {
  const crashed = crashesText(crashes, lastCrashMs, nowMs);
  return crashed === '' ? stepText(step, nowMs, times) : `${crashed}; ${stepText(step, nowMs, times)}`;
}

/** `3 crashes in a row, the last 12 s ago`; empty without a crash */
export function crashesText(crashes: number, lastCrashMs: number | undefined, nowMs: number): string {
  if (crashes === 0) return '';
  const ago = lastCrashMs === undefined ? '' : `${formatDuration(nowMs - lastCrashMs)} ago`;
  if (crashes === 1) return `crashed once${ago && `, ${ago}`}`;
  return `${crashes} crashes in a row${ago && `, the last ${ago}`}`;
}

function stepText(step: Step, nowMs: number, times: Times): string {
  switch (step.kind) {
    case 'given_up':
      return `unless the app is changed, no start before ${times.at(step.untilMs)} (in ${formatDuration(step.untilMs - nowMs)})`;
    case 'dropped':
      return `start was not sent: ${dropText(step.why)}; looked at again at once`;
    case 'sent':
      return `start (${step.reason}) sent ${formatDuration(nowMs - step.atMs)} ago, asked for again ${at(step.againMs, nowMs, times)} if nothing is heard`;
    case 'restart':
      return step.dueMs > nowMs
        ? `restart due ${at(step.dueMs, nowMs, times)}`
        : `restart was due ${formatDuration(nowMs - step.dueMs)} ago`;
    case 'waits':
      return `start (${step.reason}) has waited for its turn for ${formatDuration(nowMs - step.sinceMs)}, priority ${step.priority}`;
    case 'held':
      return `not started: hold ${step.hold}`;
    case 'grace':
      return `started ${at(step.untilMs, nowMs, times)} if nothing is heard of it`;
    case 'soon':
      return 'about to be looked at';
  }
}

/** `in 43 s, at 15:16:54` */
function at(ms: number, nowMs: number, times: Times): string {
  return ms <= nowMs ? 'now' : `in ${formatDuration(ms - nowMs)}, at ${times.at(ms)}`;
}
