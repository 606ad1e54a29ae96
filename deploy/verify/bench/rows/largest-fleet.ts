import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../fleet.ts';
import { bringUp, calm, hush, intakeSince, until } from '../load-fleet.ts';
import { type Context, differences, type Measured } from '../row.ts';
import { type Stage, setStage } from '../stage.ts';

const FIRST = 1_000_000;
const STEP = 500_000;
/** The largest that is tried, and to be held on a machine of 2 cores. */
const LAST = 3_000_000;
/** A fleet that grew by this much is there after so long, or it is not held. */
const BROUGHT_UP_WITHIN_S = 1_200;

/**
 * P1's other half: how large a steady fleet this machine holds, with all processes, the servers and the load. It grows
 * in steps until something is late, lost or asked for.
 */
export async function largestFleet(context: Context): Promise<Map<string, Measured>> {
  const { scale, signal, profile, cluster, progress } = context;
  const stage = await setStage({ droplets: FIRST * scale, profile, cluster }, signal);
  let held = 0;
  let cores = 0;
  let limit = 'no larger one was tried';
  try {
    for (const name of ['ingest', 'sync', 'analyzer', 'nudger', 'reporter'] as const) await stage.start(name);
    for (let droplets = FIRST * scale; droplets <= LAST * scale; droplets += STEP * scale) {
      progress(`${droplets} instances`);
      const { problems, cores: used } = await hold(stage, droplets, context);
      if (problems.length > 0) {
        limit = `${droplets} are not: ${problems.join('; ')}`;
        break;
      }
      held = droplets;
      cores = used;
    }
  } finally {
    await stage.close();
  }
  return new Map([
    [
      'P1',
      {
        run: `a growing steady fleet; ${limit}`,
        figures: [
          { what: 'largest that is held', value: held, unit: 'instances', least: LAST * scale },
          { what: 'CPU of everything but the load then', value: cores, unit: 'cores' },
        ],
        wrong: [],
      },
    ],
  ]);
}

/** Grows the fleet to so many and watches it. @returns what is not as it must be, and the CPU that it took */
async function hold(
  stage: Stage,
  droplets: number,
  { heartbeatMs, windowS, progress }: Context,
): Promise<{ problems: string[]; cores: number }> {
  const { redis, cloud, controller } = stage;
  const fleet = { deas: droplets / PER_DEA, periodMs: heartbeatMs, changes: 0 };
  try {
    await controller.ask('list', { droplets });
    await bringUp(stage, droplets, { heartbeatMs, sync: false });
    await until(
      `${droplets} droplets synced`,
      BROUGHT_UP_WITHIN_S,
      async () => Number(await redis.client.hget(redis.keys.syncState, 'listed')) === droplets,
    );
    await calm(stage);
  } catch (error) {
    return { problems: [error instanceof Error ? error.message : String(error)], cores: 0 };
  }
  progress(`${droplets} instances, steady for ${windowS} s`);
  const before = await hush(stage);
  await cloud.ask('asked', {});
  await cloud.ask('beat', fleet);
  const meter = stage.meter();
  await delay(windowS * 1000);
  const { total, seconds } = meter.read();
  const after = await hush(stage);
  await cloud.ask('beat', fleet);
  const sent = after.sent - before.sent;
  const due = Math.floor((windowS * 1000 * fleet.deas) / heartbeatMs);
  const { received, equal } = intakeSince(after.intake, before.intake);
  const asked = await cloud.ask('asked', {});
  return {
    problems: [
      ...differences({ received, equal, ...asked }, { received: sent, equal: sent, starts: 0, stops: 0 }),
      // The load is part of what the machine must hold.
      ...(sent < 0.98 * due ? [`only ${sent} of ${due} heartbeats left in time`] : []),
    ],
    cores: total / seconds,
  };
}
