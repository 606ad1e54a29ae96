import { type Context, differences, type Measured } from '../row.ts';
import type { Stage } from '../stage.ts';

/** Questions a second, and for how long: a third of what one reporter is to answer. */
const ASK_PER_S = 500;

/** P8: the health of 100 droplets, over and over. */
export async function questions(
  stage: Stage,
  droplets: number,
  { progress, windowS }: Context,
): Promise<Measured> {
  progress(`${ASK_PER_S} questions a second`);
  await stage.cloud.ask('query', { perS: ASK_PER_S / 5, count: ASK_PER_S, of: droplets });
  const meter = stage.meter('reporter');
  const answers = await stage.cloud.ask('query', {
    perS: ASK_PER_S,
    count: ASK_PER_S * windowS,
    of: droplets,
  });
  const cpu = meter.read().total;
  return {
    run: `health of 100 droplets, ${ASK_PER_S} questions/s, ${droplets} droplets in Redis`,
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
