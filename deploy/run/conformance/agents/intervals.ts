/** The times between the heartbeats of one agent, against `droplet_lost`. */
import { heartbeatPeriodMs, overdueAfterMs } from '../../../../common/policy/thresholds.ts';
import type { Report } from '../findings.ts';

/** Gaps of one agent that are kept: an hour of heartbeats. */
const MAX_GAPS = 360;
/** A timer and a network are not exact. */
const TOLERANCE = 1.1;
/** A `healthmanager.start` is answered at once. */
const ANSWER_MS = 3_000;

export class Intervals {
  #lastMs: number | undefined;
  readonly #gaps: number[] = [];
  #longestMs = 0;
  /** When a heartbeat was asked for, until one comes. */
  #askedMs: number | undefined;
  #isUnanswered = false;

  get lastMs(): number | undefined {
    return this.#lastMs;
  }

  /** A heartbeat came. @param atMs of a clock that only goes forward */
  heard(atMs: number): void {
    this.#measure(atMs);
    if (this.#lastMs !== undefined && this.#gaps.length < MAX_GAPS) this.#gaps.push(atMs - this.#lastMs);
    this.#lastMs = atMs;
    this.#askedMs = undefined;
  }

  /** `healthmanager.start` came. */
  asked(atMs: number): void {
    this.#askedMs ??= atMs;
  }

  /** What comes next is no gap: the connection was lost. */
  interrupt(): void {
    this.#lastMs = undefined;
    this.#askedMs = undefined;
  }

  /** @param hasLeft a `dea.shutdown` came: the silence after it is no gap */
  finish(
    atMs: number,
    hasLeft: boolean,
    dea: string,
    settings: { dropletLostMs: number },
    report: Report,
  ): void {
    if (!hasLeft) this.#measure(atMs);
    if (this.#isUnanswered) report(dea, 'start_unanswered', 'no heartbeat within 3 s of healthmanager.start');
    const { dropletLostMs } = settings;
    const lost = seconds(dropletLostMs);
    const longest = seconds(this.#longestMs);
    const usual = seconds(median(this.#gaps));
    if (this.#longestMs > dropletLostMs)
      report(dea, 'silent', `no heartbeat for ${longest}, and droplet_lost is ${lost}`);
    else if (median(this.#gaps) > heartbeatPeriodMs(settings) * TOLERANCE)
      report(dea, 'slow_heartbeats', `one every ${usual}: expected three in droplet_lost (${lost})`);
    else if (this.#longestMs > overdueAfterMs(settings))
      report(dea, 'slow_heartbeats', `none for ${longest}, and droplet_lost is ${lost}`);
  }

  #measure(atMs: number): void {
    if (this.#askedMs !== undefined && atMs - this.#askedMs > ANSWER_MS) this.#isUnanswered = true;
    if (this.#lastMs !== undefined) this.#longestMs = Math.max(this.#longestMs, atMs - this.#lastMs);
  }
}

/** 0 if there is none. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
