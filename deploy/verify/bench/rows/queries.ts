import { type Context, differences, type RowResult } from '../row.ts';
import type { Stage } from '../stage.ts';

/** Queries a second that a reporter can answer beside all other work; it would refuse more. */
const QUERIES_PER_S = 150;
const QUERIES_PER_S_QUICK = 100;

/** P8: queries for the health of 100 droplets each. */
export async function queries(
  stage: Stage,
  droplets: number,
  { scale, progress, windowS }: Context,
): Promise<RowResult> {
  const perS = scale < 1 ? QUERIES_PER_S_QUICK : QUERIES_PER_S;
  progress(`${perS} queries a second`);
  await stage.cloud.call('query', { perS: perS / 5, count: perS, of: droplets });
  const meter = stage.meter('reporter');
  const answers = await stage.cloud.call('query', {
    perS,
    count: perS * windowS,
    of: droplets,
  });
  const cpu = meter.read().total;
  return {
    run: `health of 100 droplets, ${perS} queries/s, ${droplets} droplets in Redis`,
    figures: [
      {
        what: 'queries a CPU s of the reporter',
        value: answers.complete / cpu,
        unit: '/s',
        min: 1_500,
        ratio: true,
      },
      { what: 'p50', value: answers.latency.p50Ms, unit: 'ms' },
      { what: 'p99', value: answers.latency.p99Ms, unit: 'ms', max: 15 },
    ],
    wrong: differences(answers, { complete: answers.sent, wrong: 0 }),
  };
}
