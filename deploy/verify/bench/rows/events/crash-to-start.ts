import { setTimeout as delay } from 'node:timers/promises';
import { countTraffic } from '../../measure/redis-traffic.ts';
import { cpuOfAll } from '../../measure/usage.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import type { Stage } from '../../stage/stage.ts';

const PER_S = 200;
const SECONDS = 20;
/** A lower rate at which no process waits for a core: the latency of the steps alone. */
const LOW_PER_S = 20;
const LOW_SECONDS = 10;

/** Until the effects of the crashes before are over. */
const PAUSE_MS = 3_000;

/** How many instances crash: to warm up, at the full rate, and at the lower rate. */
export function crashesOf(droplets: number): {
  before: number;
  count: number;
  atLowRate: number;
  all: number;
} {
  const count = Math.min(PER_S * SECONDS, droplets / 4);
  const before = Math.min(PER_S * 3, count / 2);
  const atLowRate = Math.min(LOW_PER_S * LOW_SECONDS, droplets / 20);
  return { before, count, atLowRate, all: before + count + atLowRate };
}

/** P5: `droplet.exited` (CRASHED) to `health.start` on the wire. */
export async function crashToStart(
  stage: Stage,
  droplets: number,
  { progress }: Context,
): Promise<RowResult> {
  const { before, count, atLowRate } = crashesOf(droplets);
  progress(`warming up with ${PER_S} crashes a second`);
  await stage.cloud.call('endAndAwaitStarts', { perS: PER_S, from: 0, count: before, of: droplets });
  await delay(1_000);
  await stage.cloud.call('takeRequestCounts', {});
  progress(`${PER_S} crashes a second`);
  const meter = stage.meter();
  const traffic = await countTraffic(stage);
  const crashes = { perS: PER_S, from: before, count, of: droplets };
  const fullRate = await stage.cloud.call('endAndAwaitStarts', crashes);
  const cpu = meter.read();
  const { commands, packets } = await traffic();
  progress(`${LOW_PER_S} crashes a second`);
  await delay(PAUSE_MS);
  const after = { perS: LOW_PER_S, from: before + count, count: atLowRate, of: droplets };
  const lowMeter = stage.meter();
  const lowRate = await stage.cloud.call('endAndAwaitStarts', after);
  const lowCpu = lowMeter.read();
  const { starts, stops } = await stage.cloud.call('takeRequestCounts', {});
  const { latency } = fullRate;
  const sumOf = (of: 'missing' | 'repeated' | 'unexpected') => fullRate[of] + lowRate[of];
  return {
    run: `${count} crashes, ${PER_S}/s, ${droplets} droplets in Redis`,
    figures: [
      { what: 'p50', value: latency.p50Ms, unit: 'ms', max: 5 },
      { what: 'p90', value: latency.p90Ms, unit: 'ms' },
      { what: 'p99', value: latency.p99Ms, unit: 'ms', max: 25 },
      { what: 'max', value: latency.maxMs, unit: 'ms' },
      { what: `p50 at ${LOW_PER_S}/s`, value: lowRate.latency.p50Ms, unit: 'ms' },
      { what: `p99 at ${LOW_PER_S}/s`, value: lowRate.latency.p99Ms, unit: 'ms' },
      { what: 'CPU of all parts a crash', value: (1000 * cpu.total) / count, unit: 'ms', max: 1.5 },
      {
        what: `CPU of all parts a crash at ${LOW_PER_S}/s`,
        value: (1000 * lowCpu.total) / atLowRate,
        unit: 'ms',
        max: 3,
      },
      { what: 'commands to Redis a crash', value: commands / count, unit: '' },
      { what: 'packets to Redis a crash', value: packets / count, unit: '' },
      ...['ingest', 'analyzer', 'nudger', 'redis', 'nats'].map((name) => ({
        what: `CPU a crash, ${name}`,
        value: (1000 * cpuOfAll(cpu.of, name)) / count,
        unit: 'ms',
      })),
    ],
    wrong: differences(
      {
        starts,
        stops,
        missing: sumOf('missing'),
        repeated: sumOf('repeated'),
        unexpected: sumOf('unexpected'),
      },
      { starts: count + atLowRate, stops: 0, missing: 0, repeated: 0, unexpected: 0 },
    ),
  };
}
