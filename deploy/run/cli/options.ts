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

function within(text: string, min: number, max: number, expected: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  throw new InvalidArgumentError(expected);
}
