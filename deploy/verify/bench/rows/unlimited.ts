/** The configuration of a nudger whose rate limit is not what is measured. */
export const UNLIMITED = { intervals: { queue_batch_size: 1_000_000 } };
