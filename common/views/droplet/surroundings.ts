/** What is shown of one droplet depends on more than its record: on holds, on who works, and on whether it is known what runs. */
import type { Workers } from '../../explain/present/present.ts';
import type { Holds } from '../../model/droplet.ts';
import type { PolicySettings } from '../../policy/settings.ts';
import type { RedisConnections } from '../../redis/connection/connections.ts';
import { holdsFrom } from '../../redis/fleet/holds/holds.ts';
import { readFleetFacts } from '../../redis/scripts/fleet/read-fleet-facts.ts';
import { unknownActual, unknownText } from '../actual-state.ts';
import { readProcessesView, waitForNudger } from '../read-processes.ts';

export interface Surroundings {
  holds: Holds;
  workers: Workers;
  /**
   * Why it is not known what runs, in one sentence; undefined: it is known.
   *
   * @param running wanted slots of the droplet that ran when it was last known
   */
  unknown(running: number): string | undefined;
}

export async function readSurroundings(
  redis: RedisConnections,
  nowMs: number,
  policy: PolicySettings,
): Promise<Surroundings> {
  const [facts, processes] = await Promise.all([readFleetFacts(redis), readProcessesView(redis, nowMs)]);
  const holds = holdsFrom(facts, nowMs, policy);
  const { actualNotFresh } = holds;
  const { listening, lowestWatermarkMs } = facts;
  return {
    holds,
    workers: waitForNudger(processes),
    unknown(running) {
      const known = { nowMs, actualNotFresh, listening, lowestWatermarkMs, processes, running };
      const unknown = unknownActual(known, policy);
      return unknown && unknownText(unknown, nowMs);
    },
  };
}
