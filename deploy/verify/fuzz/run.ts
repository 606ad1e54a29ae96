import fc from 'fast-check';
import type { Target } from './target.ts';

/** What became of a target's inputs. */
export interface Row {
  name: string;
  inputs: number;
  /** How many inputs had which fate. */
  fates: Map<string, number>;
  ms: number;
  /** Heap in use after it, more than before (bytes). */
  grownBytes: number;
}

/** Inputs of a run of fast-check: it keeps what it needs to shrink one, so not all at once. */
const PORTION = 20_000;

/**
 * Gives a target its inputs.
 *
 * @throws Error of fast-check with the smallest input that goes wrong, its seed and path
 */
export async function run(target: Target, inputs: number, seed: number): Promise<Row> {
  const { name, lot, input } = target;
  const fates = new Map<string, number>();
  const begin = performance.now();
  const before = heap();
  // To shrink a lot takes ages: seed and path say enough.
  const unshrunk = lot > 1 ? { endOnFailure: true } : {};
  const lots = fc.array(input, { minLength: lot, maxLength: lot });
  const property = fc.asyncProperty(lots, async (some) => {
    for (const fate of await target.take(some)) fates.set(fate, (fates.get(fate) ?? 0) + 1);
  });
  for (let done = 0; done < inputs; done += PORTION) {
    const numRuns = Math.ceil(Math.min(PORTION, inputs - done) / lot);
    await fc.assert(property, { numRuns, seed: seed + done, ...unshrunk });
  }
  const taken = [...fates.values()].reduce((sum, n) => sum + n, 0);
  return { name, inputs: taken, fates, ms: performance.now() - begin, grownBytes: heap() - before };
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
