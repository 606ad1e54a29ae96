import { setTimeout as delay } from 'node:timers/promises';
import type { Droplet } from '../../../common/model/droplet.ts';
import { effectiveState, exitsByInstance } from '../../../common/policy/liveness.ts';
import { readDeas, readIds } from '../../../common/redis/readers.ts';
import { readDroplets } from '../../../common/redis/scripts/droplets/read-droplets.ts';
import { differences } from './row.ts';
import type { Stage } from './stage.ts';

/** What Redis says of the fleet, counted from the records themselves. */
export interface Truth {
  droplets: number;
  /** STARTED and STAGED. */
  desired: number;
  /** Droplets with exactly one live instance, at index 0, of the wanted version. */
  whole: number;
  instances: number;
  /** Instances that were last heard as STARTING. */
  starting: number;
  /** Exits that the records still tell of. */
  exits: number;
  /** Starts and stops that the records hold as on their way. */
  underWay: number;
  unreadable: number;
}

/** Everything has been heard again, and a million records were read, within this. */
export const WHOLE_WITHIN_S = 180;

/** Reads every record until it is as it must be, at most so long. @returns what is not, in words */
export function truthBecomes(stage: Stage, must: Partial<Truth>, atMostS: number): Promise<string[]> {
  return becomes(() => readTruth(stage), must, atMostS);
}

/** Reads something until it is as it must be, at most so long. @returns what is not, in words */
export async function becomes(read: () => Promise<object>, must: object, atMostS: number): Promise<string[]> {
  const giveUpMs = performance.now() + atMostS * 1000;
  for (;;) {
    const wrong = differences(await read(), must);
    if (wrong.length === 0 || performance.now() > giveUpMs) return wrong;
    await delay(500);
  }
}

/** Records read together. */
const AT_ONCE = 1_000;

/** Reads every record. */
export async function readTruth({ redis, settings }: Stage): Promise<Truth> {
  const { client, keys } = redis;
  const truth: Truth = {
    droplets: 0,
    desired: 0,
    whole: 0,
    instances: 0,
    starting: 0,
    exits: 0,
    underWay: 0,
    unreadable: 0,
  };
  for (let slice = 0; slice < keys.slices; slice++) {
    const ids = await readIds(redis, slice);
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const records = await readDroplets(redis, ids.slice(at, at + AT_ONCE));
      const droplets = records.filter((record): record is Droplet => !!record && !(record instanceof Error));
      truth.unreadable += records.length - droplets.length;
      const deas = await readDeas(redis, droplets);
      const [seconds, micros] = await client.time();
      const nowMs = Number(seconds) * 1000 + Number(micros) / 1000;
      for (const droplet of droplets) {
        const { desired, instances } = droplet;
        const exits = exitsByInstance(droplet.exits);
        const live = instances.filter((instance) => {
          const state = effectiveState(instance, exits.get(instance.guid), deas, nowMs, settings.policy);
          return state === 'RUNNING' || state === 'STARTING';
        });
        truth.droplets++;
        truth.instances += instances.length;
        truth.starting += instances.filter((instance) => instance.state === 'STARTING').length;
        truth.exits += droplet.exits.length;
        if (desired?.state === 'STARTED' && desired.packageState === 'STAGED') truth.desired++;
        if (live.length === 1 && live[0]?.index === 0 && live[0].version === desired?.version) truth.whole++;
        truth.underWay +=
          droplet.stops.size + [...droplet.slots.values()].filter(({ start }) => start).length;
      }
    }
  }
  return truth;
}
