import type { RedisConnections } from '../redis/connection/connections.ts';
import { REGISTERED_FOR_MS, readProcesses } from '../redis/fleet/processes/processes.ts';
import { isMissing, kindOf, type ProcessesView, processesView } from './processes.ts';

/** Reads the processes of the deployment; one command. */
export async function readProcessesView(
  redis: Pick<RedisConnections, 'client' | 'keys'>,
  nowMs: number,
): Promise<ProcessesView> {
  return processesView((await readProcesses(redis)).values(), nowMs, REGISTERED_FOR_MS);
}

/** Whether queued starts and stops wait for a nudger and not for their turn. */
export function waitForNudger(processes: Pick<ProcessesView, 'kinds'>): { noNudger: boolean } {
  return { noNudger: isMissing(kindOf(processes, 'nudger')) };
}
