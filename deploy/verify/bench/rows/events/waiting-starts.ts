import { cpuSecondsOf } from '../../measure/usage.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import { until } from '../../stage/load-fleet.ts';
import type { Stage } from '../../stage/stage.ts';
import { UNLIMITED } from '../unlimited.ts';

/** How many starts wait, but at most a quarter of the droplets. All crash within half of `droplet_lost`. */
const WAITING = 10_000;
const PER_S = 1_000;

/** P11: waiting starts and a nudger without a rate limit. The nudger has just started, so its code is not compiled yet. */
export async function waitingStarts(
  stage: Stage,
  droplets: number,
  from: number,
  { progress }: Context,
): Promise<RowResult> {
  const count = Math.min(WAITING, droplets / 4);
  progress(`enqueuing ${count} starts`);
  await stage.stop('nudger');
  await stage.cloud.call('takeRequestCounts', {});
  await stage.cloud.call('end', { perS: PER_S, from, count, of: droplets });
  await until(`${count} starts waiting`, 60, async () => (await stage.waitingStarts()) === count);
  progress('sending them');
  await stage.start('nudger', UNLIMITED);
  const { seconds, missing, repeated, unexpected } = await stage.cloud.call('awaitStarts', {});
  const cpu = cpuSecondsOf(stage.pids().get('nudger') as number);
  const { starts, stops } = await stage.cloud.call('takeRequestCounts', {});
  return {
    run: `${count} starts waiting, the nudger without a limit`,
    figures: [
      { what: 'rechecked starts a second', value: count / seconds, unit: '/s', min: 3_000 },
      { what: 'a CPU s of the nudger, with its own start', value: count / cpu, unit: '/s' },
    ],
    wrong: differences(
      { starts, stops, missing, repeated, unexpected },
      { starts: count, stops: 0, missing: 0, repeated: 0, unexpected: 0 },
    ),
  };
}
