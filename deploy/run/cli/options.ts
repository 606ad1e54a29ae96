import { InvalidArgumentError } from 'commander';
import {
  MOMENT_EXPECTED,
  type Moment,
  parseDuration,
  parseMoment,
} from '../../../common/explain/log/moment.ts';

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

/** @returns ms @throws InvalidArgumentError */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError('Expected a duration such as 90s, 30m or 2h.');
}

/** @throws InvalidArgumentError */
export function moment(text: string): Moment {
  const found = parseMoment(text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(MOMENT_EXPECTED);
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
