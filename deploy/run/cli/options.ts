import { InvalidArgumentError } from 'commander';

/** The option of every command. */
export interface ConfigOption {
  /** `--config` */
  config?: string;
}

/** Wraps a command as an action of commander. Its return value becomes the program's exit code. */
export type Runs = <A extends unknown[]>(
  command: (...args: A) => Promise<number>,
) => (...args: A) => Promise<void>;

export const CONFIG = [
  '-c, --config <file>',
  'default: health_manager.yml in $CLOUD_FOUNDRY_CONFIG_PATH or the working directory',
] as const;

/** The examples of a help text, one line each: the command and its purpose. */
export function examples(...lines: [command: string, purpose: string][]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  const rows = lines.map(([command, purpose]) => `  ${command.padEnd(width)}   ${purpose}`);
  return `\nExamples:\n${rows.join('\n')}`;
}

/** @throws InvalidArgumentError */
export function port(text: string): number {
  return within(text, 1, 65_535, 'Expected a port, 1 to 65535.');
}

/** @throws InvalidArgumentError */
export function atLeastOne(text: string): number {
  return within(text, 1, Number.MAX_SAFE_INTEGER, 'Expected a whole number, at least 1.');
}

/** @throws InvalidArgumentError */
export function upTo(max: number): (text: string) => number {
  return (text) => within(text, 0, max, `Expected a whole number, 0 to ${max}.`);
}

/** @throws InvalidArgumentError */
export function seconds(text: string): number {
  return within(text, 1, 3_600, 'Expected seconds, 1 to 3600.');
}

const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** @returns ms @throws InvalidArgumentError */
export function duration(text: string): number {
  const match = /^(\d{1,6})([smh])$/.exec(text);
  const ms = match === null ? 0 : Number(match[1]) * UNITS_MS[match[2] as keyof typeof UNITS_MS];
  if (ms > 0) return ms;
  throw new InvalidArgumentError('Expected a duration such as 90s, 30m or 2h.');
}

/** A moment, given the time now (epoch ms). */
export type Moment = (nowMs: number) => number;

/**
 * @param text how long ago (`30m`), or a time in ISO 8601: local unless it names its zone
 * @throws InvalidArgumentError
 */
export function moment(text: string): Moment {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text)) {
    const atMs = Date.parse(text);
    if (!Number.isNaN(atMs)) return () => atMs;
  } else if (/^\d+[smh]$/.test(text)) {
    const agoMs = duration(text);
    return (nowMs) => nowMs - agoMs;
  }
  throw new InvalidArgumentError(
    'Expected how long ago, such as 30m or 2h, or a time such as 2026-01-31T14:00Z.',
  );
}

/** @returns the names of the list @throws InvalidArgumentError */
export function someOf<T extends string>(known: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((name) => {
      const found = known.find((one) => one === name.trim());
      if (found === undefined) throw new InvalidArgumentError(`Expected some of ${known.join(', ')}.`);
      return found;
    });
}

function within(text: string, min: number, max: number, expected: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  throw new InvalidArgumentError(expected);
}
