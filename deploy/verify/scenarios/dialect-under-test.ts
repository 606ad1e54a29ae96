import { DIALECTS, type Dialect } from '../../../common/messages/dialects/dialects.ts';

/**
 * The dialect of a deployment whose test sets none: `HM_TEST_DIALECT=hm9000-http npx vitest run deploy/verify/scenarios` runs the scenarios
 * with another one than hm2.
 */
export const DIALECT_UNDER_TEST: Dialect =
  DIALECTS.find((name) => name === process.env.HM_TEST_DIALECT) ?? 'hm2';

/** Only its messages have counts, `flapping` and `last_updated`. */
export const isHm2 = DIALECT_UNDER_TEST === 'hm2';
