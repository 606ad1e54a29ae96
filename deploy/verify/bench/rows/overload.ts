import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../fleet.ts';
import { bringUp, hush, intakeSince, readIntake } from '../load-fleet.ts';
import { type Context, differences, type Measured, type Scene } from '../row.ts';
import { type Stage, setStage } from '../stage.ts';
import { readTruth } from '../truth.ts';
import { memoryMbOf } from '../usage.ts';

const DEAS = { full: 400, quick: 100 };
/** Heartbeats a second offered first; doubled until ingest does not keep up. */
const FIRST_PER_S = 200;
const TRY_S = 2;
/** Less of what is offered stored than this: more than it can take. */
const KEPT_UP = 0.85;
const EXITS_PER_S = 20;
/** Flat: the most memory in the last half, of that in the first. */
const FLAT = 1.25;

/** Ingest under twice the load that it can take: every instance changes state with every heartbeat. */
export const overload: Scene = {
  rows: ['OVERLOAD'],
  async run(context) {
    const { scale, signal, profile, cluster, progress, heartbeatMs, windowS } = context;
    const deas = scale < 1 ? DEAS.quick : DEAS.full;
    const droplets = deas * PER_DEA;
    const stage = await setStage({ droplets, profile, cluster }, signal);
    try {
      await stage.start('ingest');
      await bringUp(stage, droplets, { heartbeatMs, sync: false });
      const can = await capacity(stage, deas, context);
      progress(`${Math.round(2 * can)} heartbeats a second, twice what can be stored`);
      await offer(stage, deas, 2 * can);
      const before = await readIntake(stage);
      const exits = EXITS_PER_S * windowS;
      const exiting = stage.cloud.ask('exits', { perS: EXITS_PER_S, from: 0, count: exits, of: droplets });
      const memory = await memoryOver(stage, windowS);
      await exiting;
      const { received, overtaken } = intakeSince(await readIntake(stage), before);
      const { sent, starting, intake } = await hush(stage);
      const truth = await readTruth(stage);
      return new Map<string, Measured>([
        [
          'OVERLOAD',
          {
            run: `${deas} DEAs with all instances changing, ${Math.round(2 * can)} heartbeats/s, ${EXITS_PER_S} exits/s`,
            figures: [
              { what: 'changed heartbeats that can be stored', value: can, unit: '/s' },
              { what: 'of twice that dropped for a newer one', value: overtaken / received, unit: '' },
              { what: 'memory of ingest, later half', value: memory.later, unit: 'MB' },
              { what: 'by the first half', value: memory.later / memory.earlier, unit: '', most: FLAT },
            ],
            wrong: [
              ...differences(
                { stored: intake.equal + intake.changed + intake.overtaken, exits: truth.exits },
                { stored: sent, exits },
              ),
              ...differences(truth, { droplets, instances: droplets, starting, unreadable: 0 }),
            ],
          },
        ],
      ]);
    } finally {
      await stage.close();
    }
  },
};

const offer = (stage: Stage, deas: number, perS: number) =>
  stage.cloud.ask('beat', { deas, periodMs: (1000 * deas) / perS, changes: 1 });

/** How many changed heartbeats a second ingest stores when more are offered. */
async function capacity(stage: Stage, deas: number, { progress }: Context): Promise<number> {
  for (let perS = FIRST_PER_S; ; perS *= 2) {
    progress(`${perS} changed heartbeats a second`);
    await offer(stage, deas, perS);
    await delay(500);
    const before = await readIntake(stage);
    const beganMs = performance.now();
    await delay(TRY_S * 1000);
    const { changed } = intakeSince(await readIntake(stage), before);
    const storedPerS = (1000 * changed) / (performance.now() - beganMs);
    if (storedPerS < KEPT_UP * perS) return storedPerS;
  }
}

/** The most memory of ingest (MB) in the earlier and in the later half of a time. */
async function memoryOver(stage: Stage, forS: number): Promise<{ earlier: number; later: number }> {
  const pid = stage.pids().get('ingest') as number;
  const samples: number[] = [];
  const untilMs = performance.now() + forS * 1000;
  while (performance.now() < untilMs) {
    samples.push(memoryMbOf(pid).nowMb);
    await delay(100);
  }
  const half = Math.ceil(samples.length / 2);
  return { earlier: Math.max(...samples.slice(0, half)), later: Math.max(...samples.slice(half)) };
}
