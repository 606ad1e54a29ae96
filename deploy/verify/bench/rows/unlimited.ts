/** The configuration of a nudger without a rate limit. */
export const UNLIMITED = { intervals: { queue_batch_size: 1_000_000 } };
