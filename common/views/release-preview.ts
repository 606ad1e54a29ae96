/** What releasing a hold would do, in numbers: an operator sees it before the release. */
import { countText } from '../explain/wording.ts';
import type { RedisConnections } from '../redis/connection/connections.ts';
import { dropletOfLine, linesOf } from '../redis/fleet/dea-list.ts';
import { type ReleasableHold, readMassDelete, readMassLoss } from '../redis/fleet/holds/holds.ts';
import { heldField, readSummary } from '../redis/fleet/summary.ts';
import { readFleetFacts } from '../redis/scripts/fleet/read-fleet-facts.ts';

export interface ReleasePreview {
  hold: ReleasableHold;
  /** With `mass_loss`: the DEAs that are silent. */
  deas: number;
  /** With `mass_loss`: instances of wanted slots that these DEAs listed last. */
  instances: number;
  /** Apps that have such an instance; with `mass_delete` those whose instances are stopped. */
  apps: number;
  /** Most starts a second (`queue_batch_size`, `request_queue`). */
  startsPerSecond: number;
}

/** DEAs whose lists are read at once: bounds the replies that wait. */
const DEAS_AT_ONCE = 200;

/** @param limits at most this many starts in a period */
export async function readReleasePreview(
  redis: RedisConnections,
  hold: ReleasableHold,
  nowMs: number,
  limits: { startsPerPeriod: number; startsPeriodMs: number },
): Promise<ReleasePreview> {
  const startsPerSecond = Math.max(1, Math.round((limits.startsPerPeriod * 1000) / limits.startsPeriodMs));
  if (hold === 'mass_delete') {
    const field = heldField(hold);
    const [summary, facts] = await Promise.all([readSummary(redis, [field]), readFleetFacts(redis)]);
    // The audit counts what is held only after `desired_state_lost`; before that all apps that left the list count.
    const { accepted = 0, listed = 0 } = readMassDelete(facts, nowMs);
    const apps = summary.get(field) || Math.max(0, accepted - listed);
    return { hold, deas: 0, instances: 0, apps, startsPerSecond };
  }
  const { lateDeas } = readMassLoss(await readFleetFacts(redis));
  const apps = new Set<string>();
  let instances = 0;
  for (let at = 0; at < lateDeas.length; at += DEAS_AT_ONCE) {
    const lists = await Promise.all(
      lateDeas
        .slice(at, at + DEAS_AT_ONCE)
        .map((dea) => redis.client.hmget(redis.keys.deaList(dea), 'list', 'unwanted')),
    );
    for (const [list, unwanted] of lists) {
      const notWanted = new Set((unwanted ?? '').split('\n'));
      for (const droplet of linesOf(list ?? '').map(dropletOfLine)) {
        if (notWanted.has(droplet)) continue;
        instances++;
        apps.add(droplet);
      }
    }
  }
  return { hold, deas: lateDeas.length, instances, apps: apps.size, startsPerSecond };
}

/** The numbers as sentences. */
export function releaseText({ hold, deas, instances, apps, startsPerSecond }: ReleasePreview): string {
  if (hold === 'mass_delete') {
    return `The controller no longer lists ${countText(apps, 'app')}. Releasing stops all their instances. If the controller only lost data, these apps are down until it lists them again.`;
  }
  return (
    `${countText(deas, 'DEA is', 'DEAs are')} silent. ` +
    `Releasing starts ${countText(instances, 'instance')} of ${countText(apps, 'app')} elsewhere, at most ${startsPerSecond} a second. ` +
    'If those DEAs are only cut off, each of these runs twice until they are back.'
  );
}
