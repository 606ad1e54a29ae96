import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../../cloud/fleet.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import { intakeSince, readIntake, until } from '../../stage/load-fleet.ts';
import type { Stage } from '../../stage/stage.ts';
import { type Fleet, readHoldsOn } from '../../stage/wholeness.ts';

/** How long NATS is away, longer than `droplet_lost`. */
const AWAY_S = { full: 60, quick: 20 };
/** The DEA that does not come back. */
const DEAD = 3;
/** Everything is known again this long after `droplet_lost`, counted from the return of NATS. */
const KNOWN_WITHIN_S = 15;
/** The row gives up this long after `droplet_lost`. */
const GIVE_UP_S = 120;
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger', 'reporter', 'redis'];

/** OUTAGE: NATS is away. One DEA dies meanwhile; only its instances must be started. */
export async function outage(
  stage: Stage,
  { droplets, deas }: Fleet,
  { progress, isQuick, windowS, heartbeatMs }: Context,
): Promise<RowResult> {
  const awayS = isQuick ? AWAY_S.quick : AWAY_S.full;
  const dropletLostS = stage.settings.policy.dropletLostMs / 1000;
  const { redis, cloud } = stage;
  progress('steady');
  const steadyMeter = stage.meter(...PROCESSES);
  await delay(windowS * 1000);
  const steady = steadyMeter.read();

  progress(`NATS is away for ${awayS} s`);
  await cloud.call('stopHeartbeats', {});
  const silenced = cloud.call('silenceDea', { dea: DEAD, maxS: awayS + dropletLostS + GIVE_UP_S });
  await stage.stopNats();
  const awayMeter = stage.meter(...PROCESSES);
  await delay(awayS * 1000);
  const away = awayMeter.read();

  progress('NATS is back');
  const backMeter = stage.meter(...PROCESSES);
  const storedBefore = await readIntake(stage);
  await stage.startNats();
  const backMs = performance.now();
  const [seconds] = await redis.client.time();
  await cloud.call('sendHeartbeats', { deas, periodMs: heartbeatMs, changes: 0 });
  await until(
    'every DEA but one heard again',
    dropletLostS + GIVE_UP_S,
    async () =>
      (await redis.client.zcount(redis.keys.deasLastHeartbeat, Number(seconds) * 1000, '+inf')) === deas - 1,
  );
  const heardS = (performance.now() - backMs) / 1000;
  await until('no hold', dropletLostS + GIVE_UP_S, async () => (await readHoldsOn(stage)).length === 0);
  const freeS = (performance.now() - backMs) / 1000;
  const { missing, repeated, unexpected } = await silenced;
  const knownS = Math.max(freeS, (performance.now() - backMs) / 1000);
  const back = backMeter.read();
  const { changed } = intakeSince(await readIntake(stage), storedBefore);
  await cloud.call('resumeDea', { dea: DEAD });
  const { starts, stops } = await cloud.call('takeRequestCounts', {});
  const steadyCores = steady.total / steady.seconds;
  return {
    run: `NATS away for ${awayS} s, ${droplets} instances on ${deas} DEAs, droplet_lost ${dropletLostS} s; one DEA dies meanwhile`,
    figures: [
      {
        what: 'CPU while NATS is away, steady = 1',
        value: away.total / away.seconds / steadyCores,
        unit: '',
        max: 1,
        ratio: true,
      },
      {
        what: 'all known after droplet_lost, from the return of NATS',
        value: knownS - dropletLostS,
        unit: 's',
        max: KNOWN_WITHIN_S,
      },
      { what: 'CPU steady', value: steadyCores, unit: 'cores' },
      { what: 'CPU while NATS is away', value: away.total / away.seconds, unit: 'cores' },
      ...[...away.of].map(([name, cpu]) => ({
        what: `CPU of ${name} while NATS is away`,
        value: cpu / away.seconds,
        unit: 'cores',
      })),
      { what: 'all DEAs heard again after', value: heardS, unit: 's' },
      { what: 'heartbeats stored whole after the return, a DEA', value: changed / deas, unit: '', max: 0.1 },
      { what: 'no hold on after', value: freeS, unit: 's' },
      { what: 'CPU from the return until all is known', value: back.total, unit: 's' },
    ],
    wrong: differences(
      { starts, stops, missing, repeated, unexpected },
      { starts: PER_DEA, stops: 0, missing: 0, repeated: 0, unexpected: 0 },
    ),
  };
}
