import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../../cloud/fleet.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import { bringUp, intakeSince, stopHeartbeats, until, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import { type Stage, startStage } from '../../stage/stage.ts';

const FIRST = 1_000_000;
const STEP = 500_000;
/** The largest size, which a machine with two cores should serve. */
const LAST = 3_000_000;
/** Within this time a fleet that grew by one step must be complete. */
const BROUGHT_UP_WITHIN_S = 1_200;

/**
 * The second half of P1: the largest steady fleet that this machine can serve, with all processes, the servers and the load.
 * The fleet grows in steps until something is late, lost or requested.
 */
export async function largestFleet(context: Context): Promise<Map<string, RowResult>> {
  const { scale, signal, profile, cluster, progress } = context;
  const stage = await startStage({ droplets: FIRST * scale, profile, cluster }, signal);
  let largest = 0;
  let cores = 0;
  let limit = 'the largest size was reached';
  try {
    for (const name of ['ingest', 'sync', 'analyzer', 'nudger', 'reporter'] as const) await stage.start(name);
    for (let droplets = FIRST * scale; droplets <= LAST * scale; droplets += STEP * scale) {
      progress(`${droplets} instances`);
      const { problems, cores: used } = await serve(stage, droplets, context);
      if (problems.length > 0) {
        limit = `${droplets} are too many: ${problems.join('; ')}`;
        break;
      }
      largest = droplets;
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
          { what: 'largest fleet', value: largest, unit: 'instances', min: LAST * scale },
          { what: 'CPU of all processes without the load', value: cores, unit: 'cores' },
        ],
        wrong: [],
      },
    ],
  ]);
}

/**
 * Grows the fleet to `droplets` and measures it.
 *
 * @returns the problems found, and the CPU used
 */
async function serve(
  stage: Stage,
  droplets: number,
  { heartbeatMs, windowS, progress }: Context,
): Promise<{ problems: string[]; cores: number }> {
  const { redis, cloud, controller } = stage;
  const fleet = { deas: droplets / PER_DEA, periodMs: heartbeatMs, changes: 0 };
  try {
    await controller.call('list', { droplets });
    await bringUp(stage, droplets, { heartbeatMs, sync: false });
    await until(
      `${droplets} droplets synced`,
      BROUGHT_UP_WITHIN_S,
      async () => Number(await redis.client.hget(redis.keys.syncState, 'listed')) === droplets,
    );
    await waitUntilNothingDue(stage);
  } catch (error) {
    return { problems: [error instanceof Error ? error.message : String(error)], cores: 0 };
  }
  progress(`${droplets} instances, steady for ${windowS} s`);
  const before = await stopHeartbeats(stage);
  await cloud.call('takeRequestCounts', {});
  await cloud.call('sendHeartbeats', fleet);
  const meter = stage.meter();
  await delay(windowS * 1000);
  const { total, seconds } = meter.read();
  const after = await stopHeartbeats(stage);
  await cloud.call('sendHeartbeats', fleet);
  const sent = after.sent - before.sent;
  const due = Math.floor((windowS * 1000 * fleet.deas) / heartbeatMs);
  const { received, equal } = intakeSince(after.intake, before.intake);
  const requests = await cloud.call('takeRequestCounts', {});
  return {
    problems: [
      ...differences({ received, equal, ...requests }, { received: sent, equal: sent, starts: 0, stops: 0 }),
      // The machine must also sustain the load.
      ...(sent < 0.98 * due ? [`only ${sent} of ${due} heartbeats left in time`] : []),
    ],
    cores: total / seconds,
  };
}
