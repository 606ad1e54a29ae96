import { setTimeout as delay } from 'node:timers/promises';
import type { Droplet } from '../../../../common/model/droplet.ts';
import { effectiveState, exitsByInstance, lostBefore } from '../../../../common/policy/fleet/liveness.ts';
import { readDeas, readIds } from '../../../../common/redis/records/readers.ts';
import { readDroplets } from '../../../../common/redis/scripts/droplets/reads/read-droplets.ts';
import { differences } from '../results/row.ts';
import type { Stage } from './stage.ts';

/** The fleet as stored in Redis, counted from the records. */
export interface StoredFleet {
  droplets: number;
  /** STARTED and STAGED. */
  desired: number;
  /** Droplets whose only live instance has index 0 and the wanted version. */
  healthy: number;
  instances: number;
  /** Instances that their last heartbeat listed as STARTING. */
  starting: number;
  /** Exits in the records. */
  exits: number;
  /** Pending starts and stops. */
  pending: number;
  unreadable: number;
}

/** Within this time every DEA has sent a heartbeat, and a million records can be read. */
export const STORED_WITHIN_S = 180;

/**
 * Reads every record until the fleet is as expected, for at most `maxS`.
 *
 * @returns the remaining differences
 */
export function waitForStoredFleet(
  stage: Stage,
  expected: Partial<StoredFleet>,
  maxS: number,
): Promise<string[]> {
  return waitForMatch(() => readStoredFleet(stage), expected, maxS);
}

/**
 * Reads until the result is as expected, for at most `maxS`.
 *
 * @returns the remaining differences
 */
export async function waitForMatch(
  read: () => Promise<object>,
  expected: object,
  maxS: number,
): Promise<string[]> {
  const deadlineMs = performance.now() + maxS * 1000;
  for (;;) {
    const found = differences(await read(), expected);
    if (found.length === 0 || performance.now() > deadlineMs) return found;
    await delay(500);
  }
}

/** Records in one call. */
const BATCH = 1_000;

/** Reads every record. */
export async function readStoredFleet({ redis, settings }: Stage): Promise<StoredFleet> {
  const { client, keys } = redis;
  const fleet: StoredFleet = {
    droplets: 0,
    desired: 0,
    healthy: 0,
    instances: 0,
    starting: 0,
    exits: 0,
    pending: 0,
    unreadable: 0,
  };
  for (let slice = 0; slice < keys.slices; slice++) {
    const ids = await readIds(redis, slice);
    for (let at = 0; at < ids.length; at += BATCH) {
      const records = await readDroplets(redis, ids.slice(at, at + BATCH));
      const droplets = records.filter((record): record is Droplet => !!record && !(record instanceof Error));
      fleet.unreadable += records.length - droplets.length;
      const deas = await readDeas(redis, droplets);
      const [seconds, micros] = await client.time();
      const nowMs = Number(seconds) * 1000 + Number(micros) / 1000;
      const lostBeforeMs = lostBefore(nowMs, undefined, settings.policy);
      for (const droplet of droplets) {
        const { desired, instances } = droplet;
        const exits = exitsByInstance(droplet.exits);
        const live = instances.filter((instance) => {
          const state = effectiveState(
            instance,
            exits.get(instance.guid),
            deas,
            lostBeforeMs,
            settings.policy,
          );
          return state === 'RUNNING' || state === 'STARTING';
        });
        fleet.droplets++;
        fleet.instances += instances.length;
        fleet.starting += instances.filter((instance) => instance.state === 'STARTING').length;
        fleet.exits += droplet.exits.length;
        if (desired?.state === 'STARTED' && desired.packageState === 'STAGED') fleet.desired++;
        if (live.length === 1 && live[0]?.index === 0 && live[0].version === desired?.version)
          fleet.healthy++;
        fleet.pending += droplet.stops.size + [...droplet.slots.values()].filter(({ start }) => start).length;
      }
    }
  }
  return fleet;
}
