import type { Queue } from 'bullmq';
import type { RedisConnections } from '../redis/connection/connections.ts';

/**
 * What becomes of a job of which Redis has lost a part: it is in no list of its queue any more (`unknown`), or it has ended and is kept,
 * because its options are lost.
 */
const LOST: ReadonlySet<string> = new Set(['unknown', 'failed', 'completed']);

/**
 * Removes those of these jobs that no worker will ever take although their data is left, because Redis has lost a part of them. The id of
 * such a job keeps another one from being added.
 *
 * @param ids of jobs that are removed when they end
 * @returns the ids of the removed jobs
 */
export async function removeLostJobs(
  client: RedisConnections['client'],
  queue: Queue,
  ids: readonly string[],
): Promise<string[]> {
  const exist = await Promise.all(ids.map((id) => client.exists(queue.toKey(id))));
  // Reading a state is a script, and most of the jobs that are asked for are done and gone.
  const present = ids.filter((_, at) => exist[at] === 1);
  const states = await Promise.all(present.map((id) => queue.getJobState(id)));
  const lost = present.filter((_, at) => LOST.has(states[at] as string));
  await Promise.all(lost.map((id) => queue.remove(id)));
  return lost;
}

/** Removes a deduplication that names a job which is lost: it would keep every other job of this id from being added. */
export async function removeLostDeduplication(queue: Queue, id: string): Promise<void> {
  const job = await queue.getDeduplicationJobId(id);
  if (job === null) return;
  if (!LOST.has(await queue.getJobState(job))) return;
  await queue.remove(job);
  await queue.removeDeduplicationKey(id);
}
