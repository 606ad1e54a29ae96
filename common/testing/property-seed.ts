/**
 * Set-up of every test file (vitest.config.ts): properties draw the same inputs every time, so that a test that fails says
 * something about the change that it was run for. To look for what nobody has found yet:
 *
 *     HM_PROPERTY_SEED=any HM_PROPERTY_TIMES=100 npx vitest run analyzer/decide --testTimeout 3600000
 *
 * A property that fails names its seed; `HM_PROPERTY_SEED=<it>` tries the same again.
 */
import fc from 'fast-check';

const { HM_PROPERTY_SEED: seed = '1', HM_PROPERTY_TIMES: times = '1' } = process.env;

if (seed !== 'any') fc.configureGlobal({ seed: Number(seed) });

/** So many inputs of a property, times HM_PROPERTY_TIMES. */
export const inputs = (usual: number): { numRuns: number } => ({ numRuns: usual * Number(times) });
