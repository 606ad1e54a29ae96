import type { Queue } from 'bullmq';
import type { RedisConnections } from '../redis/connection/connections.ts';

/**
 * Removes those of these jobs that are in no list of their queue any more although their data is left, because Redis has lost the list.
 * No worker would ever take such a job, and its id keeps another one from being added.
 *
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
  const lost = present.filter((_, at) => states[at] === 'unknown');
  await Promise.all(lost.map((id) => queue.remove(id)));
  return lost;
}

/** Removes a deduplication that names a job which is lost: it would keep every other job of this id from being added. */
export async function removeLostDeduplication(queue: Queue, id: string): Promise<void> {
  const job = await queue.getDeduplicationJobId(id);
  if (job === null) return;
  if ((await queue.getJobState(job)) !== 'unknown') return;
  await queue.remove(job);
  await queue.removeDeduplicationKey(id);
}
