/** What the launcher's tests share. */
import { processStart } from './process-table.ts';

/** Whether a process runs (one that has ended and is not yet collected does not). */
export function isAlive(pid: number): boolean {
  return processStart(pid) !== undefined;
}
