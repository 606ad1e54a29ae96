/**
 * How many of a thousand inputs each target on a real Redis gets. The shares are listed here because they are needed before
 * the targets and their Redis exist.
 */
export const SHARES = { ingest: 80, queries: 40, http: 15, editedRedis: 30 } as const;
