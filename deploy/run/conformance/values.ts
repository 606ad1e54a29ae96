/** Doubts about values that the health manager accepts. */
import { distance } from 'fastest-levenshtein';
import { isRecord, oneLine } from '../../../common/messages/validation.ts';

/** 2010: there was no Cloud Foundry before. */
const EARLIEST_S = 1_262_304_000;
/** An epoch time in milliseconds is above this, one in seconds is not before the year 5138. */
const MILLISECONDS_FROM = 1e11;
/** Clocks of hosts that are set by NTP differ by less. */
const MAX_AHEAD_S = 60;

/** Why a time is odd; undefined if it is not. @param timeS epoch seconds @param nowS of this machine's clock */
export function oddTime(timeS: number, nowS: number): string | undefined {
  if (timeS >= MILLISECONDS_FROM) return 'expected epoch seconds, found milliseconds';
  if (timeS > nowS + MAX_AHEAD_S) return "is ahead of this machine's clock by more than a minute";
  return timeS < EARLIEST_S ? 'is before 2010' : undefined;
}

/** Names of up to three letters are near each other by chance. */
const MIN_LENGTH = 4;
const MAX_DISTANCE = 2;

/** Fields of an object that look like a known one: `[field, the known one]`. */
export function misspelt(value: unknown, known: readonly string[]): [field: string, likely: string][] {
  if (!isRecord(value)) return [];
  return Object.keys(value).flatMap((field): [string, string][] => {
    if (field.length < MIN_LENGTH || field.length > 64 || known.includes(field)) return [];
    const likely = known.find((name) => !Object.hasOwn(value, name) && distance(field, name) <= MAX_DISTANCE);
    return likely === undefined ? [] : [[oneLine(field, 64), likely]];
  });
}

/** A value as an example in one line. */
export function shown(value: unknown): string {
  return oneLine(JSON.stringify(value) ?? String(value), 160);
}
