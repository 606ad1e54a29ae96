/** Durations and moments as people write them: `30m`, `2026-01-31T14:00Z`. Pure. */

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** A moment, given the time now (epoch ms). */
export type Moment = (nowMs: number) => number;

export const MOMENT_EXPECTED =
  'Expected how long ago, such as 30m or 2h, or a time such as 2026-01-31T14:00Z.';

/** `90s`, `30m` or `2h`, more than nothing. @returns ms; undefined for another text */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,6})([smh])$/.exec(text);
  const ms = match === null ? 0 : Number(match[1]) * UNITS_MS[match[2] as keyof typeof UNITS_MS];
  return ms > 0 ? ms : undefined;
}

/** @param text how long ago (`30m`), or a time in ISO 8601: local unless it names its zone */
export function parseMoment(text: string): Moment | undefined {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text)) {
    const atMs = Date.parse(text);
    return Number.isNaN(atMs) ? undefined : () => atMs;
  }
  const agoMs = parseDuration(text);
  return agoMs === undefined ? undefined : (nowMs) => nowMs - agoMs;
}
