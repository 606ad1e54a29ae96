import { PER_DEA } from '../fleet.ts';
import { bringUp, calm, firstAudit, hush } from '../load-fleet.ts';
import { differences, type Measured, type Scene } from '../row.ts';
import { setStage } from '../stage.ts';
import { truthBecomes, WHOLE_WITHIN_S } from '../truth.ts';
import { audit, twoCopies } from './audit.ts';
import { bareSubscriber, changing } from './heartbeats.ts';
import { questions } from './questions.ts';
import { memory, memoryOf, steady } from './steady.ts';
import { syncs } from './sync.ts';

/** So often the sync begins, in seconds: soon enough that an unchanged pass follows the first one. */
const SYNC_PERIOD_S = 60;

/** A large fleet that nothing goes wrong in, brought up once and then looked at from all sides. */
export const steadyFleet: Scene = {
  rows: ['P7', 'P1', 'P9', 'P8', 'P3', 'P2', 'P4', 'P10'],
  async run(context, wanted) {
    const { scale, signal, profile, cluster, progress, heartbeatMs } = context;
    const droplets = 1_000_000 * scale;
    const config = { intervals: { desired_state_update: scale < 1 ? 5 : SYNC_PERIOD_S } };
    const stage = await setStage({ droplets, profile, config, cluster }, signal);
    const results = new Map<string, Measured>();
    try {
      const { used_memory: emptyBytes } = await memoryOf(stage);
      progress(`${droplets} instances are heard for the first time`);
      await stage.start('ingest');
      await bringUp(stage, droplets, { heartbeatMs, sync: false });
      results.set('P7', await syncs(stage, droplets, context));
      for (const name of ['analyzer', 'nudger', 'reporter'] as const) await stage.start(name);
      progress('until every droplet was looked at');
      await calm(stage);
      progress('until every droplet was audited');
      await firstAudit(stage, droplets);
      if (wanted.has('P1')) results.set('P1', await steady(stage, droplets, context));
      if (wanted.has('P9')) results.set('P9', await memory(stage, droplets, emptyBytes));
      if (wanted.has('P8')) results.set('P8', await questions(stage, droplets, context));
      if (wanted.has('P3')) results.set('P3', await bareSubscriber(stage, droplets, context));
      if (wanted.has('P2')) results.set('P2', await changing(stage, droplets, context));
      if (wanted.has('P4')) results.set('P4', await audit(stage, droplets, context));
      // Last, as its second copies stay.
      if (wanted.has('P10')) results.set('P10', await twoCopies(stage, droplets, context));
      progress('comparing');
      const { starting } = await hush(stage);
      // Reading a million records takes longer than a DEA may be silent.
      await stage.cloud.ask('beat', { deas: droplets / PER_DEA, periodMs: heartbeatMs, changes: 0 });
      const must = {
        droplets,
        desired: droplets,
        whole: droplets,
        instances: droplets,
        starting,
        underWay: 0,
        unreadable: 0,
      };
      const untrue = await truthBecomes(stage, must, WHOLE_WITHIN_S);
      const asked = await stage.cloud.ask('asked', {});
      const wrong = [...differences(asked, { starts: 0, stops: 0 }), ...untrue];
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
