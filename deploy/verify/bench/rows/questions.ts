import { type Context, differences, type Measured } from '../row.ts';
import type { Stage } from '../stage.ts';

/** Questions a second that a reporter can answer also beside the rest: more would be refused, which is no loss. */
const ASK_PER_S = 150;
const ASK_PER_S_QUICK = 100;

/** P8: the health of 100 droplets, over and over. */
export async function questions(
  stage: Stage,
  droplets: number,
  { scale, progress, windowS }: Context,
): Promise<Measured> {
  const perS = scale < 1 ? ASK_PER_S_QUICK : ASK_PER_S;
  progress(`${perS} questions a second`);
  await stage.cloud.ask('query', { perS: perS / 5, count: perS, of: droplets });
  const meter = stage.meter('reporter');
  const answers = await stage.cloud.ask('query', {
    perS,
    count: perS * windowS,
    of: droplets,
  });
  const cpu = meter.read().total;
  return {
    run: `health of 100 droplets, ${perS} questions/s, ${droplets} droplets in Redis`,
    figures: [
      {
        what: 'questions a CPU s of the reporter',
        value: answers.complete / cpu,
        unit: '/s',
        least: 1_500,
        ratio: true,
      },
      { what: 'p50', value: answers.latency.p50Ms, unit: 'ms' },
      { what: 'p99', value: answers.latency.p99Ms, unit: 'ms', most: 15 },
    ],
    wrong: differences(answers, { complete: answers.asked, wrong: 0 }),
  };
}
