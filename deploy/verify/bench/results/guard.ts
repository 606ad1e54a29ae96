/**
 * The guard: a quick run compares ratios with those that are kept in `guarded.json`, and fails when one is a quarter worse.
 *
 * Only ratios of two measures of one run, side by side on one machine, and counts: they differ little between machines and under
 * other load. A ratio that seems worse is measured twice more and the median of the three counts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { packageRoot } from '../../../../common/runtime/package-root.ts';
import type { Figure, RowResult } from './row.ts';

/** How much worse than the kept value a ratio may be. */
export const MAX_WORSE = 0.25;
/** Measurements in all of a row with a ratio that seems worse. */
export const MEASUREMENTS = 3;
/** The values that are kept of a ratio: those of the latest recorded runs. */
const KEPT = 15;

/** Row -> figure -> its values in recorded runs. */
export type Guarded = Record<string, Record<string, number[]>>;

const FILE = join(packageRoot, 'deploy', 'verify', 'bench', 'results', 'guarded.json');
const schema = Compile(Type.Record(Type.String(), Type.Record(Type.String(), Type.Array(Type.Number()))));

/** @throws Error when the file is missing or is not in the format of `record` */
export function readGuarded(): Guarded {
  const found: unknown = JSON.parse(readFileSync(FILE, 'utf8'));
  if (schema.Check(found)) return found;
  throw new Error(`${FILE}: expected lists of numbers by row and figure`);
}

/** Adds the guarded ratios of a run to the kept ones. */
export function record(results: ReadonlyMap<string, RowResult>, guarded: Guarded = readGuarded()): void {
  for (const [row, { figures }] of results) {
    for (const { what, value } of figures.filter((figure) => figure.guarded)) {
      const values = [...(guarded[row]?.[what] ?? []), Number(value.toPrecision(4))];
      guarded[row] = { ...guarded[row], [what]: values.slice(-KEPT) };
    }
  }
  writeFileSync(FILE, `${JSON.stringify(guarded, null, 2)}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/**
 * One line for each guarded ratio that is worse than the kept ones by more than `MAX_WORSE`. One without a kept value, or that is no
 * number, is worse, too: it would never be noticed.
 *
 * @param measured the figures of each measurement of the row
 */
export function worse(row: string, measured: readonly (readonly Figure[])[], guarded: Guarded): string[] {
  const figures = (measured[0] ?? []).filter((figure) => figure.guarded);
  return figures.flatMap(({ what, min }) => {
    const values = measured.map((one) => one.find((figure) => figure.what === what)?.value ?? Number.NaN);
    const kept = guarded[row]?.[what] ?? [];
    const [now, before] = [median(values), median(kept)];
    const isHigherBetter = min !== undefined;
    const isFine = isHigherBetter ? now >= before * (1 - MAX_WORSE) : now <= before * (1 + MAX_WORSE);
    if (isFine) return [];
    return [
      `${what}: ${now.toPrecision(3)} (median of ${values.length}) is more than ${100 * MAX_WORSE}% worse than ${before.toPrecision(3)}`,
    ];
  });
}
