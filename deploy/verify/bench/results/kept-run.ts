/**
 * The latest measurement of each row, in `kept-run.json`: what `deploy/docs/performance.md` shows. Rows are measured in several
 * calls, because a full run takes more than an hour, so each entry has its own machine, size and load.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { packageRoot } from '../../../../common/runtime/package-root.ts';
import type { Machine } from '../measure/machine.ts';
import type { RowResult } from './row.ts';

/** How the rows of one call were measured. */
export interface Conditions {
  /** Of the day on which it was measured: `2026-11-30`. */
  date: string;
  machine: Machine;
  /** Share of the full size. */
  scale: number;
  /** Processes that wanted a core in the minute before, on average: other work on the machine makes times longer. */
  loadBefore: number;
  /** On a Redis Cluster of three nodes. */
  cluster: boolean;
}

export const KEPT_RUN = join(packageRoot, 'deploy', 'verify', 'bench', 'results', 'kept-run.json');
const Kept = Compile(Type.Record(Type.String(), Type.Object({ figures: Type.Array(Type.Object({})) })));

/** @returns row -> its latest measurement; a row on a cluster has a name of its own */
export function readKeptRun(file = KEPT_RUN): Record<string, object> {
  const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (Kept.Check(found)) return found;
  throw new Error(`${file}: expected figures by row`);
}

/** Replaces the rows that were measured; the others stay. */
export function keep(results: ReadonlyMap<string, RowResult>, conditions: Conditions, file = KEPT_RUN): void {
  const rows = readKeptRun(file);
  const suffix = conditions.cluster ? ' on a cluster' : '';
  for (const [row, result] of results) rows[row + suffix] = { ...conditions, ...result };
  const sorted = Object.fromEntries(
    Object.entries(rows).sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })),
  );
  writeFileSync(file, `${JSON.stringify(sorted, rounded, 2)}\n`);
}

/** Four digits are more than any figure is exact. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}
