import { setTimeout as delay } from 'node:timers/promises';
import { dropletId } from '../../cloud/fleet.ts';
import { differences, type RowGroup, type RowResult } from '../../results/row.ts';
import { bringUp, firstAudit, until, waitUntilNoneDue, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import { type Stage, startStage } from '../../stage/stage.ts';
import { waitForStoredFleet } from '../../stage/stored-fleet.ts';
import { UNLIMITED } from '../unlimited.ts';

const FLEET = 1_000_000;
/** Share of the apps that are updated within a second. */
const UPDATED = 0.01;
/** Crashes of other apps meanwhile. */
const CRASHES_PER_S = 20;
const CRASHES_S = 15;
const CRASH_P99_MS = 250;
const QUIET_WITHIN_S = 30;
/** No pass but those that the updates ask for begins within the row. */
const SYNC_S = { desired_state_update: 3_600, desired_state_lost: 10_800 };
/** Until the crashes have compiled their code. */
const WARM_UP_CRASHES = 100;
const COMPARED_WITHIN_S = 180;

/**
 * Share of the updates that may begin a pass. Updates that come after a pass began need another one, and a pass over a small
 * fleet is so short that several follow one another while the updates come. As many passes as updates would be a fault.
 */
const MOST_PASSES = 0.05;

/** SURGE: `droplet.updated` for many apps within a second: few passes, soon quiet, and crashes are restarted meanwhile. */
export const surge: RowGroup = {
  rows: ['SURGE'],
  async run({ scale, signal, profile, cluster, progress, heartbeatMs, windowS }) {
    const of = FLEET * scale;
    const count = of * UPDATED;
    const mostPasses = Math.ceil(count * MOST_PASSES);
    const stage = await startStage({ droplets: of, profile, config: { intervals: SYNC_S }, cluster }, signal);
    const { cloud } = stage;
    try {
      progress(`bringing up ${of} droplets`);
      await stage.start('ingest');
      await bringUp(stage, of, { heartbeatMs, sync: true });
      await stage.start('analyzer');
      await stage.start('nudger', UNLIMITED);
      await waitUntilNothingDue(stage);
      await firstAudit(stage, of);
      const crashes = { perS: CRASHES_PER_S, of };
      await cloud.call('endAndAwaitStarts', { ...crashes, from: 0, count: WARM_UP_CRASHES });
      await cloud.call('takeRequestCounts', {});
      const idleMeter = stage.meter();
      await delay(windowS * 1000);
      const idle = idleMeter.read();
      progress(`${CRASHES_PER_S} crashes a second alone`);
      const expected = CRASHES_PER_S * CRASHES_S;
      const before = await cloud.call('endAndAwaitStarts', {
        ...crashes,
        from: WARM_UP_CRASHES,
        count: expected,
      });
      await waitUntilNothingDue(stage);
      await cloud.call('takeRequestCounts', {});

      progress(`${count} droplets updated within a second, beside ${CRASHES_PER_S} crashes a second`);
      const passes = () => stage.metric('sync', 'hm_sync_passes_total');
      const received = () => stage.metric('ingest', 'hm_updates_received_total');
      const [passesBefore, receivedBefore] = [await passes(), await received()];
      const meter = stage.meter();
      const crashed = cloud.call('endAndAwaitStarts', {
        ...crashes,
        from: WARM_UP_CRASHES + expected,
        count: expected,
      });
      const beganMs = performance.now();
      const from = WARM_UP_CRASHES + 2 * expected;
      await cloud.call('update', { perS: count, from, count, of });
      const sentS = (performance.now() - beganMs) / 1000;
      await until('all updates received', 60, async () => (await received()) >= receivedBefore + count);
      await until('the last pass after them', 120, () => isNoPassRequested(stage));
      const updated = Array.from({ length: count }, (_, at) => dropletId(from + at));
      await waitUntilNoneDue(stage, updated);
      const quietS = (performance.now() - beganMs) / 1000;
      const { latency, missing, repeated, unexpected } = await crashed;
      await waitUntilNothingDue(stage);
      const cpu = meter.read();
      const made = (await passes()) - passesBefore;
      const { starts, stops } = await cloud.call('takeRequestCounts', {});
      progress('comparing');
      const fleet = { droplets: of, desired: of, healthy: of, starting: 0, pending: 0, unreadable: 0 };
      const different = await waitForStoredFleet(stage, fleet, COMPARED_WITHIN_S);
      const result: RowResult = {
        run: `${count} of ${of} droplets updated within ${sentS.toFixed(1)} s, beside ${CRASHES_PER_S} crashes/s`,
        figures: [
          { what: 'passes over the bulk API', value: made, unit: '', max: 2 },
          {
            what: 'no pass requested and none of them due after',
            value: quietS,
            unit: 's',
            max: QUIET_WITHIN_S,
          },
          { what: 'p50 of a crash before', value: before.latency.p50Ms, unit: 'ms' },
          { what: 'p99 of a crash before', value: before.latency.p99Ms, unit: 'ms' },
          { what: 'p50 of a crash meanwhile', value: latency.p50Ms, unit: 'ms' },
          { what: 'p99 of a crash meanwhile', value: latency.p99Ms, unit: 'ms', max: CRASH_P99_MS },
          {
            what: 'CPU of all parts, more than in as long a steady time',
            value: cpu.total - (idle.total / idle.seconds) * cpu.seconds,
            unit: 's',
          },
          ...[...cpu.of].map(([name, seconds]) => ({ what: `CPU of ${name}`, value: seconds, unit: 's' })),
        ],
        wrong: [
          ...differences(
            { starts, stops, missing, repeated, unexpected },
            { starts: expected, stops: 0, missing: 0, repeated: 0, unexpected: 0 },
          ),
          ...(made >= 1 && made <= mostPasses ? [] : [`passes: expected 1 to ${mostPasses}, found ${made}`]),
          ...different,
        ],
      };
      return new Map([['SURGE', result]]);
    } finally {
      await stage.close();
    }
  },
};

async function isNoPassRequested({ redis }: Stage): Promise<boolean> {
  const [requested, completed] = await redis.client.hmget(redis.keys.syncState, 'requested', 'completed');
  return Number(completed) > Number(requested);
}
