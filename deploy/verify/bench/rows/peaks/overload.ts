import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../../cloud/fleet.ts';
import { memoryMbOf } from '../../measure/usage.ts';
import { type Context, differences, type RowGroup, type RowResult } from '../../results/row.ts';
import { bringUp, intakeSince, readIntake, stopHeartbeats } from '../../stage/load-fleet.ts';
import { type Stage, startStage } from '../../stage/stage.ts';
import { readStoredFleet } from '../../stage/stored-fleet.ts';

const DEAS = { full: 400, quick: 100 };
/** The first rate of heartbeats, which doubles until ingest cannot keep up. */
const FIRST_PER_S = 200;
const TRY_S = 2;
/** If a smaller share of the heartbeats is stored, the rate is too high. */
const KEPT_UP = 0.85;
const EXITS_PER_S = 20;
/** The memory is stable if its peak in the second half is at most this many times that in the first. */
const FLAT = 1.25;

/** Ingest under twice the load that it can store: every instance changes state in every heartbeat. */
export const overload: RowGroup = {
  rows: ['OVERLOAD'],
  async run(context) {
    const { isQuick, signal, profile, cluster, progress, heartbeatMs, windowS } = context;
    const deas = isQuick ? DEAS.quick : DEAS.full;
    const droplets = deas * PER_DEA;
    const stage = await startStage({ droplets, profile, cluster }, signal);
    try {
      await stage.start('ingest');
      await bringUp(stage, droplets, { heartbeatMs, sync: false });
      const maxPerS = await capacity(stage, deas, context);
      progress(`${Math.round(2 * maxPerS)} heartbeats a second, twice what can be stored`);
      await offer(stage, deas, 2 * maxPerS);
      const before = await readIntake(stage);
      const exits = EXITS_PER_S * windowS;
      const exitsSent = stage.cloud.call('end', { perS: EXITS_PER_S, from: 0, count: exits, of: droplets });
      const memory = await memoryOver(stage, windowS);
      await exitsSent;
      const { received, coalesced } = intakeSince(await readIntake(stage), before);
      const { sent, starting, intake } = await stopHeartbeats(stage);
      const stored = await readStoredFleet(stage);
      return new Map<string, RowResult>([
        [
          'OVERLOAD',
          {
            run: `${deas} DEAs with all instances changing, ${Math.round(2 * maxPerS)} heartbeats/s, ${EXITS_PER_S} exits/s`,
            figures: [
              { what: 'changed heartbeats that can be stored', value: maxPerS, unit: '/s' },
              { what: 'share of twice that dropped for a newer one', value: coalesced / received, unit: '' },
              { what: 'memory of ingest, second half', value: memory.later, unit: 'MB' },
              { what: 'first half = 1', value: memory.later / memory.earlier, unit: '', max: FLAT },
            ],
            wrong: [
              ...differences(
                { stored: intake.equal + intake.changed + intake.coalesced, exits: stored.exits },
                { stored: sent, exits },
              ),
              ...differences(stored, { droplets, instances: droplets, starting, unreadable: 0 }),
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
  stage.cloud.call('sendHeartbeats', { deas, periodMs: (1000 * deas) / perS, changes: 1 });

/** How many changed heartbeats a second ingest stores when more arrive. */
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

/** The peak memory of ingest (MB) in both halves of `forS` seconds. */
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
