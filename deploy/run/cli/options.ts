import { InvalidArgumentError } from 'commander';

/** What every command takes. */
export interface ConfigOption {
  /** `--config` */
  config?: string;
}

/** Makes of a command its action: the exit code that it returns becomes that of the program. */
export type Runs = <A extends unknown[]>(
  command: (...args: A) => Promise<number>,
) => (...args: A) => Promise<void>;

export const CONFIG = [
  '-c, --config <file>',
  'default: health_manager.yml in $CLOUD_FOUNDRY_CONFIG_PATH or the working directory',
] as const;

/** A help text's examples, a line each: the command, and what it is for. */
export function examples(...lines: [command: string, what: string][]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  const shown = lines.map(([command, what]) => `  ${command.padEnd(width)}   ${what}`);
  return `\nExamples:\n${shown.join('\n')}`;
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
export function upTo(most: number): (text: string) => number {
  return (text) => within(text, 0, most, `Expected a whole number, 0 to ${most}.`);
}

/** @throws InvalidArgumentError */
export function seconds(text: string): number {
  return within(text, 1, 3_600, 'Expected seconds, 1 to 3600.');
}

function within(text: string, least: number, most: number, expected: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new InvalidArgumentError(expected);
}
