import type { ScriptAccess } from '../scripts.ts';

/** BullMQ's score of a prioritized job is its priority times this, plus its place within the priority. */
const PRIORITY_WIDTH = 2 ** 32;

/** The ids of the oldest job of each priority. @param prioritized the key of the queue's prioritized jobs */
export async function listQueueHeads(
  { scripts }: Pick<ScriptAccess, 'scripts'>,
  prioritized: string,
): Promise<string[]> {
  return (await scripts.run('list_queue_heads', [prioritized], [PRIORITY_WIDTH])) as string[];
}
