/** The processes of the health manager, in the order in which they are shown: the way of a message. */
export const PROCESS_KINDS = ['ingest', 'sync', 'analyzer', 'nudger', 'reporter'] as const;
export type ProcessKind = (typeof PROCESS_KINDS)[number];
