import { PER_DEA } from '../../cloud/fleet.ts';
import { differences, type RowGroup, type RowResult } from '../../results/row.ts';
import { bringUp, firstAudit, stopHeartbeats, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import { startStage } from '../../stage/stage.ts';
import { STORED_WITHIN_S, waitForStoredFleet } from '../../stage/stored-fleet.ts';
import { audit } from './audit.ts';
import { copies } from './copies.ts';
import { bareSubscriber, changing } from './heartbeats.ts';
import { queries } from './queries.ts';
import { bareStream, memory, memoryOf, steady } from './steady.ts';
import { syncs } from './sync.ts';

/** The sync period in seconds: short, so that an unchanged pass soon follows the first one. */
const SYNC_PERIOD_S = 60;

/** A large fleet without any failure, brought up once and measured by eight rows. */
export const steadyFleet: RowGroup = {
  rows: ['P7', 'P1', 'P9', 'P8', 'P3', 'P2', 'P4', 'P10'],
  async run(context, wanted) {
    const { scale, isQuick, signal, profile, cluster, progress, heartbeatMs } = context;
    const droplets = 1_000_000 * scale;
    const config = { intervals: { desired_state_update: isQuick ? 5 : SYNC_PERIOD_S } };
    const stage = await startStage({ droplets, profile, config, cluster }, signal);
    const results = new Map<string, RowResult>();
    try {
      const { used_memory: emptyBytes } = await memoryOf(stage);
      progress(`first heartbeats of ${droplets} instances`);
      await stage.start('ingest');
      await bringUp(stage, droplets, { heartbeatMs, sync: false });
      results.set('P7', await syncs(stage, droplets, context));
      for (const name of ['analyzer', 'nudger', 'reporter'] as const) await stage.start(name);
      progress('waiting until every droplet was reconciled');
      await waitUntilNothingDue(stage);
      progress('waiting until every droplet was audited');
      await firstAudit(stage, droplets);
      if (wanted.has('P1')) results.set('P1', await steady(stage, droplets, context));
      if (wanted.has('P9')) results.set('P9', await memory(stage, droplets, emptyBytes));
      if (wanted.has('P8')) results.set('P8', await queries(stage, droplets, context));
      if (wanted.has('P3')) results.set('P3', await bareSubscriber(stage, droplets, context));
      if (wanted.has('P2')) results.set('P2', await changing(stage, droplets, context));
      if (wanted.has('P4')) results.set('P4', await audit(stage, droplets, context));
      // Last, because its second copies stay.
      if (wanted.has('P10')) results.set('P10', await copies(stage, droplets, context));
      progress('comparing');
      const { starting } = await stopHeartbeats(stage);
      // Reading a million records takes longer than droplet_lost.
      await stage.cloud.call('sendHeartbeats', {
        deas: droplets / PER_DEA,
        periodMs: heartbeatMs,
        changes: 0,
      });
      const expected = {
        droplets,
        desired: droplets,
        healthy: droplets,
        instances: droplets,
        starting,
        pending: 0,
        unreadable: 0,
      };
      const unexpected = await waitForStoredFleet(stage, expected, STORED_WITHIN_S);
      const requests = await stage.cloud.call('takeRequestCounts', {});
      const full = results.get('P1');
      if (full !== undefined) await bareStream(stage, full, context);
      const wrong = [...differences(requests, { starts: 0, stops: 0 }), ...unexpected];
      for (const [row, measured] of results) {
        if (wanted.has(row)) measured.wrong.push(...wrong);
        else results.delete(row);
      }
      return results;
    } finally {
      await stage.close();
    }
  },
};
