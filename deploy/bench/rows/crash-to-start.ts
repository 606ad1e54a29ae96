import { setTimeout as delay } from 'node:timers/promises';
import { type Context, differences, type Measured } from '../row.ts';
import type { Stage } from '../stage.ts';

const PER_S = 200;
const SECONDS = 20;

/** How many crash, and before that to warm up. */
export function crashesOf(droplets: number): { before: number; count: number; all: number } {
  const count = Math.min(PER_S * SECONDS, droplets / 4);
  const before = Math.min(PER_S * 3, count / 2);
  return { before, count, all: before + count };
}

/** P5: `droplet.exited` (CRASHED) to `health.start` on the wire. */
export async function crashToStart(stage: Stage, droplets: number, { progress }: Context): Promise<Measured> {
  const { before, count } = crashesOf(droplets);
  progress(`warming up with ${PER_S} crashes a second`);
  await stage.cloud.ask('crash', { perS: PER_S, from: 0, count: before, of: droplets });
  await delay(1_000);
  await stage.cloud.ask('asked', {});
  progress(`${PER_S} crashes a second`);
  const meter = stage.meter();
  const crashes = { perS: PER_S, from: before, count, of: droplets };
  const { latency, missing, twice, unasked } = await stage.cloud.ask('crash', crashes);
  const cpu = meter.read();
  const { starts, stops } = await stage.cloud.ask('asked', {});
  return {
    run: `${count} crashes, ${PER_S}/s, ${droplets} droplets in Redis`,
    figures: [
      { what: 'p50', value: latency.p50Ms, unit: 'ms', most: 5 },
      { what: 'p90', value: latency.p90Ms, unit: 'ms' },
      { what: 'p99', value: latency.p99Ms, unit: 'ms', most: 25 },
      { what: 'max', value: latency.maxMs, unit: 'ms' },
      ...['ingest', 'analyzer', 'nudger', 'redis', 'nats'].map((name) => ({
        what: `CPU a crash, ${name}`,
        value: (1000 * (cpu.of.get(name) ?? 0)) / count,
        unit: 'ms',
      })),
    ],
    wrong: differences(
      { starts, stops, missing, twice, unasked },
      { starts: count, stops: 0, missing: 0, twice: 0, unasked: 0 },
    ),
  };
}
