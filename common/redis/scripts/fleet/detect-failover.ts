import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** The servers of a cluster as one process sees them. */
export interface ClusterServers {
  /** Replication ids of the masters. */
  replicationIds: Iterable<string>;
  /** Node ids. */
  masters?: Iterable<string>;
  /** Node ids. */
  replicas?: Iterable<string>;
}

/** Compares the servers with those seen before. @returns changed if one is new: its latest writes may be lost */
export async function detectFailover(
  { scripts, keys }: ScriptAccess,
  { replicationIds, masters = [], replicas = [] }: ClusterServers,
): Promise<'changed' | 'unchanged'> {
  const reply = await scripts.run(
    'detect_failover',
    [keys.failover, keys.listening, keys.deasDigest, keys.syncState],
    [
      ...replicationIds,
      ...Array.from(masters, (id) => `master ${id}`),
      ...Array.from(replicas, (id) => `replica ${id}`),
    ],
  );
  return decodeCode(reply, 'changed', 'unchanged');
}
