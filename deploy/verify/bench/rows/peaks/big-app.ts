import { SimulatedController } from '../../../sim/controller.ts';
import { memoryMbOf } from '../../measure/usage.ts';
import type { Context, RowGroup, RowResult } from '../../results/row.ts';
import { lastPass, until } from '../../stage/load-fleet.ts';
import { startStage } from '../../stage/stage.ts';
import { UNLIMITED } from '../unlimited.ts';
import { AppCloud, DEAS, EVENTS, type Round } from './app-cloud.ts';

const INSTANCES = { full: 1_000, quick: 200 };
/** Missing instances are started this long after they were stopped. */
const DROPLET_LOST_S = 5;
/** What each start and stop may cost, compared with one of an app of its own. */
const MAX_RATIO = 1.5;

/** BIG: one app with many instances is stopped, started and loses a DEA, beside as many apps with one instance each. */
export const bigApp: RowGroup = {
  rows: ['BIG'],
  async run({ isQuick, signal, profile, cluster, progress }: Context) {
    const count = isQuick ? INSTANCES.quick : INSTANCES.full;
    const controller = await SimulatedController.start();
    const config = {
      bulk_api: { host: controller.host },
      intervals: { droplet_lost: DROPLET_LOST_S, ...UNLIMITED.intervals },
    };
    const stage = await startStage({ droplets: 0, config, profile, cluster }, signal);
    const cloud = await AppCloud.connect(stage, controller);
    try {
      for (const name of ['ingest', 'sync', 'analyzer', 'nudger'] as const) await stage.start(name);
      await until('a complete pass', 60, async () => (await lastPass(stage)) !== undefined);
      const single = Array.from({ length: count }, (_, n) => `single-${n}`);
      // The first round is not measured: new processes compile their code.
      progress(`${count} apps of one instance, to warm up`);
      await cloud.stopAndStart(single, 1);
      progress(`${count} apps of one instance`);
      const many = await cloud.stopAndStart(single, 1);
      progress(`one app of ${count} instances`);
      const one = await cloud.stopAndStart(['big'], count);
      const result = resultOf(count, one, many);
      const nudger = memoryMbOf(stage.pids().get('nudger') as number);
      result.figures.push({ what: 'peak memory of nudger', value: nudger.peakMb, unit: 'MB' });
      return new Map<string, RowResult>([['BIG', result]]);
    } finally {
      await cloud.close();
      await stage.close();
      await controller.stop();
    }
  },
};

/** The few starts after a loss cost little beside the seconds until it is noticed, so their share varies too much. */
const isComparable = ({ cpuS, idleS }: Round[(typeof EVENTS)[number]]): boolean => cpuS > idleS / 4;

function resultOf(count: number, one: Round, many: Round): RowResult {
  const figures = EVENTS.flatMap((of) => [
    { what: `all sent after a ${of}, within`, value: one[of].seconds, unit: 's' },
    { what: `of ${count} apps`, value: many[of].seconds, unit: 's' },
    { what: `CPU a ${of}`, value: (1000 * one[of].cpuS) / one[of].requests, unit: 'ms' },
    {
      what: `CPU a ${of}, of ${count} apps = 1`,
      value: one[of].cpuS / one[of].requests / (many[of].cpuS / many[of].requests),
      unit: '',
      max: MAX_RATIO,
      ...(isComparable(one[of]) && isComparable(many[of]) && { ratio: true as const }),
    },
    {
      what: `CPU a ${of} of the nudger, of ${count} apps = 1`,
      value: one[of].nudgerS / one[of].requests / (many[of].nudgerS / many[of].requests),
      unit: '',
    },
  ]);
  return {
    run: `one app of ${count} instances stopped, started, and losing a DEA of ${DEAS}, beside ${count} apps of one`,
    figures,
    wrong: [...one.wrong, ...many.wrong],
  };
}
