import { bringUp, calm } from '../load-fleet.ts';
import { type Context, differences, type Measured, type Scene } from '../row.ts';
import { type Stage, setStage } from '../stage.ts';
import { truthBecomes } from '../truth.ts';
import { crashesOf, crashToStart } from './crash-to-start.ts';
import { silentDea } from './silent-dea.ts';
import { UNLIMITED } from './unlimited.ts';
import { waitingStarts } from './waiting-starts.ts';

/** A quick run does not wait for half a minute to find that somebody is silent. */
const DROPLET_LOST_S = { full: 30, quick: 10 };
/** DEAs of the quick run are heard more often than those of the full one, in the same proportion. */
const HEARTBEATS_A_LOSS = 3;
const HEARTBEATS_TO_SETTLE = 6;

/** A fleet that something happens to: a DEA falls silent, instances crash, starts wait. */
export const events: Scene = {
  rows: ['P6', 'P5', 'P11'],
  async run(context, wanted) {
    const { scale, signal, profile, cluster, progress } = context;
    const droplets = 100_000 * scale;
    const dropletLostS = scale < 1 ? DROPLET_LOST_S.quick : DROPLET_LOST_S.full;
    const heartbeatMs = (dropletLostS * 1000) / HEARTBEATS_A_LOSS;
    const config = { intervals: { droplet_lost: dropletLostS } };
    const stage = await setStage({ droplets, profile, config, cluster }, signal);
    const results = new Map<string, Measured>();
    try {
      progress(`bringing up ${droplets} droplets`);
      for (const name of ['ingest', 'analyzer', 'nudger'] as const) await stage.start(name);
      await bringUp(stage, droplets, { heartbeatMs, sync: true });
      await stage.start('reporter');
      await calm(stage);
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

/** All that was started runs, nothing is on its way, and nothing was asked for beside what the rows saw. */
async function compare(
  stage: Stage,
  droplets: number,
  heartbeatMs: number,
  { progress }: Context,
): Promise<string[]> {
  progress('comparing');
  const must = { droplets, desired: droplets, whole: droplets, starting: 0, underWay: 0, unreadable: 0 };
  // Each DEA is heard with what was started last, and that is looked at.
  const wrong = await truthBecomes(stage, must, HEARTBEATS_TO_SETTLE * (heartbeatMs / 1000));
  const asked = await stage.cloud.ask('asked', {});
  return [...wrong, ...differences(asked, { starts: 0, stops: 0 })];
}
