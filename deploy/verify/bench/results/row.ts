/** One figure of a row, with its target. */
export interface Figure {
  what: string;
  value: number;
  unit: string;
  /** The target; a figure with neither is only shown. */
  min?: number;
  max?: number;
  /** The figure depends on CPU time or memory instead of the clock, so it is much the same on a shared machine. */
  ratio?: true;
  /** A ratio of two measures of one run, or a count, that varies little: a quick run compares it with the kept ones (guard.ts). */
  guarded?: true;
}

/** The result of a row. */
export interface RowResult {
  /** What was run, with its numbers. */
  run: string;
  figures: Figure[];
  /** Errors in what was measured: something lost, invented or different from the expected state. */
  wrong: string[];
}

/** How large the rows are. */
export interface Size {
  /** Share of the full size; 0.05 in a quick run. */
  scale: number;
  /** Times are short, too. */
  isQuick: boolean;
  /** How long a steady fleet is measured. */
  steadyS: number;
  /** How long most other figures are measured. */
  windowS: number;
  /** The heartbeat interval; shorter in a smaller fleet, so that as many heartbeats arrive a second. */
  heartbeatMs: number;
}

export interface Context extends Size {
  signal: AbortSignal;
  profile: ReadonlySet<string>;
  /** On a Redis Cluster of three nodes. */
  cluster: boolean;
  /** Prints the present step. */
  progress(text: string): void;
}

/** One row, or several that share a stage. */
export interface RowGroup {
  rows: readonly string[];
  run(context: Context, wanted: ReadonlySet<string>): Promise<Map<string, RowResult>>;
}

export const reached = ({ value, min, max }: Figure): boolean =>
  (min === undefined || value >= min) && (max === undefined || value <= max);

/** @returns one line for each ratio that is more than `times` worse than its target */
export function farFrom(figures: readonly Figure[], times: number): string[] {
  return figures
    .filter(({ ratio }) => ratio)
    .filter(({ value, min, max }) => !(value >= (min ?? 0) / times && value <= (max ?? Infinity) * times))
    .map(
      ({ what, value, unit }) =>
        `${what}: ${value} ${unit} is more than ${times} times worse than its target`,
    );
}

/** @returns one line for each expected value that differs from the found one */
export function differences(found: object, expected: object): string[] {
  const values = found as Record<string, unknown>;
  return Object.entries(expected)
    .filter(([name, value]) => values[name] !== value)
    .map(([name, value]) => `${name}: expected ${value}, found ${values[name]}`);
}
