/** One figure of a row, beside what it is to reach. */
export interface Figure {
  what: string;
  value: number;
  unit: string;
  /** `least` or `most` that is to be reached; absent: only told. */
  least?: number;
  most?: number;
  /** By CPU time or memory and not by the clock: much the same on a machine that others use, too. */
  ratio?: true;
}

/** What a row found. */
export interface Measured {
  /** What was run, in words with its numbers. */
  run: string;
  figures: Figure[];
  /** What is wrong with what was measured: something lost, invented, or not as it must be. */
  wrong: string[];
}

/** How large the rows are. */
export interface Size {
  /** Share of the full size: 1, or 0.05 for a quick run. */
  scale: number;
  /** A steady fleet is watched for so long. */
  steadyS: number;
  /** Everything else that is watched for a while. */
  windowS: number;
  /** Each DEA is heard so often: a smaller fleet more often, so that as many heartbeats come a second. */
  heartbeatMs: number;
}

export interface Context extends Size {
  signal: AbortSignal;
  profile: ReadonlySet<string>;
  /** On a Redis Cluster of three nodes. */
  cluster: boolean;
  /** Says what is being done now. */
  progress(text: string): void;
}

/** A row, or several that share a stage. */
export interface Scene {
  rows: readonly string[];
  run(context: Context, wanted: ReadonlySet<string>): Promise<Map<string, Measured>>;
}

export const reached = ({ value, least, most }: Figure): boolean =>
  (least === undefined || value >= least) && (most === undefined || value <= most);

/** The ratios that are more than `times` worse than they should be, in words. */
export function farFrom(figures: readonly Figure[], times: number): string[] {
  return figures
    .filter(({ ratio }) => ratio)
    .filter(
      ({ value, least, most }) => !(value >= (least ?? 0) / times && value <= (most ?? Infinity) * times),
    )
    .map(
      ({ what, value, unit }) =>
        `${what}: ${value} ${unit} is more than ${times} times worse than it should be`,
    );
}

/** Compares what is with what must be. */
export function differences(is: object, must: object): string[] {
  const found = is as Record<string, unknown>;
  return Object.entries(must)
    .filter(([name, value]) => found[name] !== value)
    .map(([name, value]) => `${name}: expected ${value}, found ${found[name]}`);
}
