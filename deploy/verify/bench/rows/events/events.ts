import { type Context, differences, type RowGroup, type RowResult } from '../../results/row.ts';
import { bringUp, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import { type Stage, startStage } from '../../stage/stage.ts';
import { waitForStoredFleet } from '../../stage/stored-fleet.ts';
import { UNLIMITED } from '../unlimited.ts';
import { crashesOf, crashToStart } from './crash-to-start.ts';
import { silentDea } from './silent-dea.ts';
import { waitingStarts } from './waiting-starts.ts';

/** A quick run finds a silent DEA sooner than after half a minute. */
const DROPLET_LOST_S = { full: 30, quick: 10 };
/** Heartbeats within droplet_lost; the interval of a quick run is shorter in the same proportion. */
const HEARTBEATS_A_LOSS = 3;
const HEARTBEATS_TO_SETTLE = 6;

/** A fleet with events: a DEA goes silent, instances crash, starts wait. */
export const events: RowGroup = {
  rows: ['P6', 'P5', 'P11'],
  async run(context, wanted) {
    const { scale, isQuick, signal, profile, cluster, progress } = context;
    const droplets = 100_000 * scale;
    const dropletLostS = isQuick ? DROPLET_LOST_S.quick : DROPLET_LOST_S.full;
    const heartbeatMs = (dropletLostS * 1000) / HEARTBEATS_A_LOSS;
    const config = { intervals: { droplet_lost: dropletLostS } };
    const stage = await startStage({ droplets, profile, config, cluster }, signal);
    const results = new Map<string, RowResult>();
    try {
      progress(`bringing up ${droplets} droplets`);
      for (const name of ['ingest', 'analyzer', 'nudger'] as const) await stage.start(name);
      await bringUp(stage, droplets, { heartbeatMs, sync: true });
      await stage.start('reporter');
      await waitUntilNothingDue(stage);
      if (wanted.has('P6')) results.set('P6', await silentDea(stage, dropletLostS, context));
      await stage.stop('nudger');
      await stage.start('nudger', UNLIMITED);
      if (wanted.has('P5')) results.set('P5', await crashToStart(stage, droplets, context));
      const from = wanted.has('P5') ? crashesOf(droplets).all : 0;
      if (wanted.has('P11')) results.set('P11', await waitingStarts(stage, droplets, from, context));
      const wrong = await compare(stage, droplets, heartbeatMs, context);
      for (const measured of results.values()) measured.wrong.push(...wrong);
      return results;
    } finally {
      await stage.close();
    }
  },
};

/** Checks that every started instance runs, nothing is pending, and no request was sent beside those of the rows. */
async function compare(
  stage: Stage,
  droplets: number,
  heartbeatMs: number,
  { progress }: Context,
): Promise<string[]> {
  progress('comparing');
  const expected = { droplets, desired: droplets, healthy: droplets, starting: 0, pending: 0, unreadable: 0 };
  // Until each DEA has reported the last instances, and their droplets were reconciled.
  const wrong = await waitForStoredFleet(stage, expected, HEARTBEATS_TO_SETTLE * (heartbeatMs / 1000));
  const requests = await stage.cloud.call('takeRequestCounts', {});
  return [...wrong, ...differences(requests, { starts: 0, stops: 0 })];
}
