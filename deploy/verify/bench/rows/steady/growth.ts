import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../../cloud/fleet.ts';
import { type Context, differences, type Figure, type RowGroup, type RowResult } from '../../results/row.ts';
import { bringUp, intakeSince, readIntake, until, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import { type Stage, startStage } from '../../stage/stage.ts';

const SIZES = [10_000, 100_000, 1_000_000, 3_000_000];
/** From this size on the cost of an instance must be constant. */
const CONSTANT_FROM = 100_000;
/** How far from each other the costs may be: the largest, the smallest = 1. */
const MAX_SPREAD = 1.15;
/** At once: DEAs that list more than four times the droplets that a pass has listed are refused the rest. */
const MAX_GROWTH = 3;
const GROWN_WITHIN_S = 1_200;

interface Cost {
  instances: number;
  /** Instances reported. */
  reported: number;
  seconds: number;
  cpuS: number;
}

/** GROWTH: the steady CPU of all parts for each instance while the fleet grows. */
export const growth: RowGroup = {
  rows: ['GROWTH'],
  async run(context) {
    const { scale, signal, profile, cluster, progress } = context;
    const sizes = SIZES.map((size) => size * scale);
    const stage = await startStage({ droplets: 0, profile, cluster }, signal);
    try {
      for (const name of ['ingest', 'sync', 'analyzer', 'nudger', 'reporter'] as const)
        await stage.start(name);
      const costs: Cost[] = [];
      const wrong: string[] = [];
      for (const size of sizes) {
        for (const step of stepsTo(size, costs.at(-1)?.instances)) {
          progress(`growing to ${step} instances`);
          await grow(stage, step, context);
        }
        progress(`${size} instances, steady`);
        const cost = await measure(stage, size, context, wrong);
        progress(
          `${size} instances: ${((1e6 * cost.cpuS) / cost.reported).toPrecision(3)} us a reported instance`,
        );
        costs.push(cost);
      }
      return new Map<string, RowResult>([
        [
          'GROWTH',
          {
            run: `a fleet that grows: ${sizes.join(', ')} instances`,
            figures: figuresOf(costs, CONSTANT_FROM * scale),
            wrong,
          },
        ],
      ]);
    } finally {
      await stage.close();
    }
  },
};

/** @param from undefined: no instance runs yet */
function stepsTo(size: number, from = size): number[] {
  const steps: number[] = [];
  for (let step = from * MAX_GROWTH; step < size; step *= MAX_GROWTH) steps.push(step);
  return [...steps, size];
}

/** Heartbeats first, so that nothing is missing when the desired state comes. */
async function grow(stage: Stage, droplets: number, { heartbeatMs }: Context): Promise<void> {
  const { redis, controller } = stage;
  await bringUp(stage, droplets, { heartbeatMs, sync: false });
  await controller.call('list', { droplets });
  await until(
    `${droplets} droplets listed`,
    GROWN_WITHIN_S,
    async () => Number(await redis.client.hget(redis.keys.syncState, 'listed')) === droplets,
  );
  await waitUntilNothingDue(stage);
}

/** A period of the sync, so that each size has its share of the passes. */
async function measure(stage: Stage, instances: number, context: Context, wrong: string[]): Promise<Cost> {
  const { isQuick, windowS } = context;
  const syncS = stage.settings.syncPeriodMs / 1000;
  const before = await readIntake(stage);
  const meter = stage.meter();
  await delay(1000 * (isQuick ? windowS : Math.max(windowS, syncS)));
  const { total, seconds } = meter.read();
  const { equal, changed } = intakeSince(await readIntake(stage), before);
  const requests = await stage.cloud.call('takeRequestCounts', {});
  wrong.push(
    ...differences({ changed, ...requests }, { changed: 0, starts: 0, stops: 0 }).map(
      (text) => `${instances} instances: ${text}`,
    ),
  );
  return { instances, reported: equal * PER_DEA, seconds, cpuS: total };
}

function figuresOf(costs: readonly Cost[], constantFrom: number): Figure[] {
  const perReported = ({ cpuS, reported }: Cost) => (1e6 * cpuS) / reported;
  const cores = ({ cpuS, seconds }: Cost) => cpuS / seconds;
  const [smallest] = costs as [Cost];
  // What a fleet costs however small it is: the line through the smallest and the largest size at no instance.
  const largest = costs.at(-1) as Cost;
  const slope = (cores(largest) - cores(smallest)) / (largest.instances - smallest.instances);
  const fixed = Math.max(0, cores(smallest) - slope * smallest.instances);
  const withoutFixed = (cost: Cost) => (1e6 * (cost.cpuS - fixed * cost.seconds)) / cost.reported;
  const large = costs.filter(({ instances }) => instances >= constantFrom);
  const spread = (of: (cost: Cost) => number) => Math.max(...large.map(of)) / Math.min(...large.map(of));
  const from = `from ${constantFrom} on`;
  return [
    {
      what: `CPU a reported instance ${from}, most to least`,
      value: spread(perReported),
      unit: '',
      max: MAX_SPREAD,
      ratio: true,
    },
    {
      what: 'the same without the fixed cost',
      value: spread(withoutFixed),
      unit: '',
      max: MAX_SPREAD,
    },
    { what: 'fixed cost', value: fixed, unit: 'cores' },
    ...costs.flatMap((cost) => [
      { what: `${cost.instances} instances: CPU of all parts`, value: cores(cost), unit: 'cores' },
      { what: `${cost.instances} instances: CPU a reported instance`, value: perReported(cost), unit: 'us' },
    ]),
  ];
}
