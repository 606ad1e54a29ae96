/**
 * Set-up of every test file (vitest.config.ts): properties get the same inputs every time, so that a failure is caused by the
 * change under test. To search for new failures:
 *
 *     HM_PROPERTY_SEED=any HM_PROPERTY_TIMES=100 npx vitest run analyzer/decide --testTimeout 3600000
 *
 * A failing property prints its seed; `HM_PROPERTY_SEED=<seed>` repeats it.
 */
import fc from 'fast-check';

const { HM_PROPERTY_SEED: seed = '1', HM_PROPERTY_TIMES: times = '1' } = process.env;

if (seed !== 'any') fc.configureGlobal({ seed: Number(seed) });

/** The number of inputs of a property, multiplied by HM_PROPERTY_TIMES. */
export const inputs = (usual: number): { numRuns: number } => ({ numRuns: usual * Number(times) });
