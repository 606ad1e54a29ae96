/**
 * What a DEA's last heartbeat and its `dea.shutdown` show about it:
 *
 * - `alive`: it sends heartbeats
 * - `late`: silent for more than two thirds of `droplet_lost`
 * - `lost`: silent for longer than `droplet_lost`
 * - `leaving`: it sent `dea.shutdown`, and is not silent for longer than `droplet_lost`
 * - `left`: it sent `dea.shutdown`, and is gone since. That is as it should be, so it is no alarm
 */
export const DEA_STATES = ['alive', 'late', 'lost', 'leaving', 'left'] as const;
export type DeaState = (typeof DEA_STATES)[number];

/** The number of DEAs by state. */
export type DeaCounts = Record<DeaState, number>;

/** DEAs that are expected to send heartbeats: all but those that have left. */
export function expectedDeas({ alive, late, lost, leaving }: DeaCounts): number {
  return alive + late + lost + leaving;
}
