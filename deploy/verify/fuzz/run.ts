import fc from 'fast-check';
import type { Target } from './target.ts';

/** The outcomes of a target's inputs. */
export interface TargetResult {
  name: string;
  inputs: number;
  /** How many inputs had which outcome. */
  outcomes: Map<string, number>;
  ms: number;
  /** How much the used heap grew (bytes). */
  grownBytes: number;
}

/** Inputs of one run of fast-check, which keeps the state to shrink each of them in memory. */
const INPUTS_A_RUN = 20_000;

/**
 * Runs a target with generated inputs.
 *
 * @throws fast-check's Error with the smallest failing input, its seed and its path
 */
export async function run(target: Target, inputs: number, seed: number): Promise<TargetResult> {
  const { name, batchSize, input } = target;
  const outcomes = new Map<string, number>();
  const begin = performance.now();
  const before = heap();
  // Shrinking a batch takes too long; the seed and the path suffice.
  const unshrunk = batchSize > 1 ? { endOnFailure: true } : {};
  const batches = fc.array(input, { minLength: batchSize, maxLength: batchSize });
  const property = fc.asyncProperty(batches, async (batch) => {
    for (const outcome of await target.process(batch))
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  });
  for (let done = 0; done < inputs; done += INPUTS_A_RUN) {
    const numRuns = Math.ceil(Math.min(INPUTS_A_RUN, inputs - done) / batchSize);
    await fc.assert(property, { numRuns, seed: seed + done, ...unshrunk });
  }
  const processed = [...outcomes.values()].reduce((sum, n) => sum + n, 0);
  return { name, inputs: processed, outcomes, ms: performance.now() - begin, grownBytes: heap() - before };
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
