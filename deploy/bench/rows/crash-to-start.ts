import { setTimeout as delay } from 'node:timers/promises';
import { bringUp, calm } from '../load-fleet.ts';
import { differences, type Measured, type Scene } from '../row.ts';
import { setStage } from '../stage.ts';
import { readTruth } from '../truth.ts';

const PER_S = 200;
const SECONDS = 20;

/** P5: `droplet.exited` (CRASHED) to `health.start` on the wire. */
export const crashToStart: Scene = {
  rows: ['P5'],
  async run({ scale, signal, profile, progress }) {
    const droplets = 100_000 * scale;
    const count = Math.min(PER_S * SECONDS, droplets / 2);
    const stage = await setStage(
      // The limit is not what is measured here.
      { droplets, profile, config: { intervals: { queue_batch_size: 1_000_000 } } },
      signal,
    );
    try {
      progress(`bringing up ${droplets} droplets`);
      for (const name of ['ingest', 'analyzer', 'nudger'] as const) await stage.start(name);
      await bringUp(stage, droplets, { sync: true });
      await stage.start('reporter');
      await calm(stage);
      progress(`warming up with ${PER_S} crashes a second`);
      const before = Math.min(PER_S * 3, count / 2);
      await stage.cloud.ask('crash', { perS: PER_S, from: 0, count: before, of: droplets });
      await delay(1_000);
      await stage.cloud.ask('asked', {});
      progress(`${PER_S} crashes a second`);
      const meter = stage.meter();
      const { latency, missing, twice, unasked } = await stage.cloud.ask('crash', {
        perS: PER_S,
        from: before,
        count,
        of: droplets,
      });
      const cpu = meter.read();
      const asked = await stage.cloud.ask('asked', {});
      progress('comparing');
      await stage.cloud.ask('hush', {});
      const truth = await readTruth(stage);
      const perCrashMs = (name: string) => (1000 * (cpu.of.get(name) ?? 0)) / count;
      return new Map<string, Measured>([
        [
          'P5',
          {
            run: `${count} crashes, ${PER_S}/s, ${droplets} droplets in Redis`,
            figures: [
              { what: 'p50', value: latency.p50Ms, unit: 'ms', most: 5 },
              { what: 'p90', value: latency.p90Ms, unit: 'ms' },
              { what: 'p99', value: latency.p99Ms, unit: 'ms', most: 25 },
              { what: 'max', value: latency.maxMs, unit: 'ms' },
              ...['ingest', 'analyzer', 'nudger', 'redis', 'nats'].map((name) => ({
                what: `CPU a crash, ${name}`,
                value: perCrashMs(name),
                unit: 'ms',
              })),
            ],
            wrong: [
              ...differences(
                { starts: asked.starts, stops: asked.stops, missing, twice, unasked },
                { starts: count, stops: 0, missing: 0, twice: 0, unasked: 0 },
              ),
              ...differences(truth, { droplets, desired: droplets, unreadable: 0 }),
            ],
          },
        ],
      ]);
    } finally {
      await stage.close();
    }
  },
};
