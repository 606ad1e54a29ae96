import { setTimeout as delay } from 'node:timers/promises';
import { type Context, differences, type Measured } from '../row.ts';
import type { Stage } from '../stage.ts';

const PER_S = 200;
const SECONDS = 20;
/** And at a rate at which nothing waits for a core: what the way itself takes. */
const SELDOM_PER_S = 50;
const SELDOM_SECONDS = 10;

/** Until what comes of the crashes before is behind. */
const REST_MS = 3_000;

/** How many crash, before that to warm up, and after it more seldom. */
export function crashesOf(droplets: number): { before: number; count: number; seldom: number; all: number } {
  const count = Math.min(PER_S * SECONDS, droplets / 4);
  const before = Math.min(PER_S * 3, count / 2);
  const seldom = Math.min(SELDOM_PER_S * SELDOM_SECONDS, droplets / 20);
  return { before, count, seldom, all: before + count + seldom };
}

/** P5: `droplet.exited` (CRASHED) to `health.start` on the wire. */
export async function crashToStart(stage: Stage, droplets: number, { progress }: Context): Promise<Measured> {
  const { before, count, seldom } = crashesOf(droplets);
  progress(`warming up with ${PER_S} crashes a second`);
  await stage.cloud.ask('crash', { perS: PER_S, from: 0, count: before, of: droplets });
  await delay(1_000);
  await stage.cloud.ask('asked', {});
  progress(`${PER_S} crashes a second`);
  const meter = stage.meter();
  const crashes = { perS: PER_S, from: before, count, of: droplets };
  const often = await stage.cloud.ask('crash', crashes);
  const cpu = meter.read();
  progress(`${SELDOM_PER_S} crashes a second`);
  await delay(REST_MS);
  const after = { perS: SELDOM_PER_S, from: before + count, count: seldom, of: droplets };
  const quiet = await stage.cloud.ask('crash', after);
  const { starts, stops } = await stage.cloud.ask('asked', {});
  const { latency } = often;
  const came = (of: 'missing' | 'twice' | 'unasked') => often[of] + quiet[of];
  return {
    run: `${count} crashes, ${PER_S}/s, ${droplets} droplets in Redis`,
    figures: [
      { what: 'p50', value: latency.p50Ms, unit: 'ms', most: 5 },
      { what: 'p90', value: latency.p90Ms, unit: 'ms' },
      { what: 'p99', value: latency.p99Ms, unit: 'ms', most: 25 },
      { what: 'max', value: latency.maxMs, unit: 'ms' },
      { what: `p50 at ${SELDOM_PER_S}/s`, value: quiet.latency.p50Ms, unit: 'ms' },
      { what: `p99 at ${SELDOM_PER_S}/s`, value: quiet.latency.p99Ms, unit: 'ms' },
      ...['ingest', 'analyzer', 'nudger', 'redis', 'nats'].map((name) => ({
        what: `CPU a crash, ${name}`,
        value: (1000 * (cpu.of.get(name) ?? 0)) / count,
        unit: 'ms',
      })),
    ],
    wrong: differences(
      { starts, stops, missing: came('missing'), twice: came('twice'), unasked: came('unasked') },
      { starts: count + seldom, stops: 0, missing: 0, twice: 0, unasked: 0 },
    ),
  };
}
