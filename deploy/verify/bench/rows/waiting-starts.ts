import { until } from '../load-fleet.ts';
import { type Context, differences, type Measured } from '../row.ts';
import type { Stage } from '../stage.ts';
import { cpuSecondsOf } from '../usage.ts';
import { UNLIMITED } from './unlimited.ts';

/** At most, and of the droplets at most a quarter. They crash within half of `droplet_lost`. */
const WAITING = 10_000;
const PER_S = 1_000;

/** P11: starts that wait, and a nudger that may send as many as it can. It begins with them: its code is cold. */
export async function waitingStarts(
  stage: Stage,
  droplets: number,
  from: number,
  { progress }: Context,
): Promise<Measured> {
  const count = Math.min(WAITING, droplets / 4);
  progress(`${count} starts come to wait`);
  await stage.stop('nudger');
  await stage.cloud.ask('asked', {});
  await stage.cloud.ask('exits', { perS: PER_S, from, count, of: droplets });
  await until(`${count} starts waiting`, 60, async () => (await stage.waitingStarts()) === count);
  progress('and are sent');
  await stage.start('nudger', UNLIMITED);
  const { seconds, missing, twice, unasked } = await stage.cloud.ask('started', {});
  const cpu = cpuSecondsOf(stage.pids().get('nudger') as number);
  const { starts, stops } = await stage.cloud.ask('asked', {});
  return {
    run: `${count} starts waiting, the nudger without a limit`,
    figures: [
      { what: 'checked starts a second', value: count / seconds, unit: '/s', least: 3_000 },
      { what: 'a CPU s of the nudger, its start included', value: count / cpu, unit: '/s' },
    ],
    wrong: differences(
      { starts, stops, missing, twice, unasked },
      { starts: count, stops: 0, missing: 0, twice: 0, unasked: 0 },
    ),
  };
}
