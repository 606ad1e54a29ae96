import { PER_DEA } from '../../cloud/fleet.ts';
import { differences, type RowGroup, type RowResult } from '../../results/row.ts';
import { bringUp, firstAudit, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import { startStage } from '../../stage/stage.ts';
import { STORED_WITHIN_S, waitForStoredFleet } from '../../stage/stored-fleet.ts';
import { outage } from './outage.ts';
import { recover } from './recover.ts';

const FLEET = 1_000_000;
/** A quick run waits less than half a minute for what is silent. */
const QUICK_DROPLET_LOST_S = 10;

/** A large steady fleet that loses NATS for a while, then everything in Redis. */
export const losses: RowGroup = {
  rows: ['OUTAGE', 'RECOVER'],
  async run(context, wanted) {
    const { scale, isQuick, signal, profile, cluster, progress } = context;
    const droplets = FLEET * scale;
    const fleet = { droplets, deas: droplets / PER_DEA };
    const config = isQuick ? { intervals: { droplet_lost: QUICK_DROPLET_LOST_S } } : {};
    const stage = await startStage({ droplets, profile, config, cluster }, signal);
    const results = new Map<string, RowResult>();
    try {
      progress(`bringing up ${droplets} droplets`);
      await stage.start('ingest');
      await bringUp(stage, droplets, { heartbeatMs: context.heartbeatMs, sync: true });
      for (const name of ['analyzer', 'nudger', 'reporter'] as const) await stage.start(name);
      await waitUntilNothingDue(stage);
      await firstAudit(stage, droplets);
      await stage.cloud.call('takeRequestCounts', {});
      if (wanted.has('OUTAGE')) results.set('OUTAGE', await outage(stage, fleet, context));
      if (wanted.has('RECOVER')) results.set('RECOVER', await recover(stage, fleet, context));
      progress('comparing');
      const expected = {
        ...{ droplets, desired: droplets, healthy: droplets, instances: droplets },
        ...{ starting: 0, pending: 0, unreadable: 0 },
      };
      const unexpected = await waitForStoredFleet(stage, expected, STORED_WITHIN_S);
      const requests = await stage.cloud.call('takeRequestCounts', {});
      const wrong = [...differences(requests, { starts: 0, stops: 0 }), ...unexpected];
      for (const measured of results.values()) measured.wrong.push(...wrong);
      return results;
    } finally {
      await stage.close();
    }
  },
};
