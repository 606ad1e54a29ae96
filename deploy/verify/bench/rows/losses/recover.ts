import { cpus } from 'node:os';
import { CpuMeter } from '../../measure/usage.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import { until, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import type { Stage } from '../../stage/stage.ts';
import { type Fleet, readWholeness } from '../../stage/wholeness.ts';

/** Longest until everything is known again (s), the load on the same two cores. */
const WHOLE_WITHIN_S = 90;
/** The row gives up after this time. */
const GIVE_UP_S = 900;

/** RECOVER: Redis is emptied under a steady fleet. */
export async function recover(stage: Stage, fleet: Fleet, { progress }: Context): Promise<RowResult> {
  const { droplets, deas } = fleet;
  progress('Redis is emptied');
  const load = new CpuMeter(
    new Map([
      ['load', stage.cloud.pid],
      ['api', stage.controller.pid],
    ]),
  );
  const meter = stage.meter();
  const beganMs = performance.now();
  const secondsSince = () => (performance.now() - beganMs) / 1000;
  await stage.emptyRedis();
  let [desiredS, actualS, holdsS]: (number | undefined)[] = [];
  await until('everything known again', GIVE_UP_S, async () => {
    const { desired, actual, holds } = await readWholeness(stage, fleet);
    const now = secondsSince();
    if (desired) desiredS ??= now;
    if (actual) actualS ??= now;
    // Right after the loss nothing is stored yet, so nothing holds back either; only its end counts.
    holdsS = desired && actual && holds.length === 0 ? now : undefined;
    return holdsS !== undefined;
  });
  const cpu = meter.read();
  const loadS = load.read().total;
  await waitUntilNothingDue(stage);
  const quietS = secondsSince();
  const requests = await stage.cloud.call('takeRequestCounts', {});
  return {
    run: `Redis emptied under ${droplets} instances on ${deas} DEAs`,
    figures: [
      {
        what: 'desired and actual whole, no hold on',
        value: holdsS ?? Number.NaN,
        unit: 's',
        max: WHOLE_WITHIN_S,
      },
      { what: 'desired state whole', value: desiredS ?? Number.NaN, unit: 's' },
      { what: 'actual state whole', value: actualS ?? Number.NaN, unit: 's' },
      { what: 'nothing due', value: quietS, unit: 's' },
      {
        // What it would take at best, however busy the machine is with other work.
        what: `CPU of all parts and the load, on ${cpus().length} cores`,
        value: (cpu.total + loadS) / cpus().length,
        unit: 's',
        max: WHOLE_WITHIN_S,
      },
      { what: 'CPU of all parts a droplet', value: (1e6 * cpu.total) / droplets, unit: 'us' },
      { what: 'CPU of the load', value: loadS, unit: 's' },
      ...[...cpu.of].map(([name, seconds]) => ({ what: `CPU of ${name}`, value: seconds, unit: 's' })),
    ],
    wrong: differences(requests, { starts: 0, stops: 0 }),
  };
}
