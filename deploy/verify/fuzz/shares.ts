/**
 * How many of a thousand inputs are for each target that runs on a real Redis: said here, as it must be known before
 * there is a Redis to create the target on.
 */
export const SHARES = { ingest: 80, queries: 40, http: 15, handEdited: 30 } as const;
