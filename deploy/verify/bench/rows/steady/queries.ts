import { setTimeout as delay } from 'node:timers/promises';
import { DROPLETS_A_QUERY } from '../../cloud/protocol.ts';
import { CpuMeter, cpuOfAll } from '../../measure/usage.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import type { Stage } from '../../stage/stage.ts';

/** Queries a second that a reporter can answer beside all other work; it would refuse more. */
const QUERIES_PER_S = 150;
const QUERIES_PER_S_QUICK = 100;
/** At the rate that is measured, until the code is compiled. */
const WARM_UP_S = 5;

/** P8: queries for the health of 100 droplets each, and the same load for a replier that only replies. */
export async function queries(stage: Stage, droplets: number, context: Context): Promise<RowResult> {
  const { isQuick, progress, windowS } = context;
  const perS = isQuick ? QUERIES_PER_S_QUICK : QUERIES_PER_S;
  const ask = (seconds: number, bare?: true) =>
    stage.cloud.call('query', { perS, count: perS * seconds, of: droplets, ...(bare && { bare }) });

  progress('without queries');
  const idle = stage.meter('redis');
  await delay(windowS * 1000);
  const idleCores = idle.read().total / windowS;

  progress(`${perS} queries a second`);
  await ask(WARM_UP_S);
  const meter = stage.meter('reporter', 'redis');
  const answers = await ask(windowS);
  const { of, seconds } = meter.read();
  const reporterS = of.get('reporter') ?? 0;
  const redisS = Math.max(0, cpuOfAll(of, 'redis') - idleCores * seconds);

  progress(`${perS} queries a second to a replier that only replies`);
  const replier = await stage.startReplier();
  await ask(WARM_UP_S, true);
  const bareMeter = new CpuMeter(new Map([['bare', replier.pid]]));
  const bareAnswers = await ask(windowS, true);
  const bareS = bareMeter.read().total;
  await replier.end();

  const rate = answers.complete / reporterS;
  const bareRate = bareAnswers.complete / bareS;
  return {
    run: `health of ${DROPLETS_A_QUERY} droplets, ${perS} queries/s, ${droplets} droplets in Redis`,
    figures: [
      {
        what: 'rate of the reporter, bare replier = 1',
        value: rate / bareRate,
        unit: '',
        min: 0.4,
        ratio: true,
        guarded: true,
      },
      { what: 'queries a CPU s of the reporter', value: rate, unit: '/s' },
      { what: 'queries a CPU s of the bare replier', value: bareRate, unit: '/s' },
      {
        what: 'queries a CPU s of the reporter and Redis',
        value: answers.complete / (reporterS + redisS),
        unit: '/s',
      },
      { what: 'p50', value: answers.latency.p50Ms, unit: 'ms' },
      { what: 'p99', value: answers.latency.p99Ms, unit: 'ms', max: 15 },
    ],
    wrong: [
      ...differences(answers, { complete: answers.sent, wrong: 0 }),
      ...differences(bareAnswers, { complete: bareAnswers.sent, wrong: 0 }).map(
        (text) => `bare replier: ${text}`,
      ),
    ],
  };
}
