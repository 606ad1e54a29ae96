import type { Droplet } from '../../../../../common/model/droplet.ts';
import { readDroplets } from '../../../../../common/redis/scripts/droplets/reads/read-droplets.ts';
import { deaId, dropletId, PER_DEA } from '../../cloud/fleet.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import type { Stage } from '../../stage/stage.ts';

const DEA = 3;
/** The row gives up this long after `droplet_lost`. */
const MARGIN_S = 60;

/** P6: one DEA goes silent: when the starts of its instances are decided, and when they are sent. */
export async function silentDea(
  stage: Stage,
  dropletLostS: number,
  { progress }: Context,
): Promise<RowResult> {
  progress(`a DEA goes silent, ${dropletLostS} s to wait`);
  const { redis, settings } = stage;
  await stage.cloud.call('takeRequestCounts', {});
  const stats = await stage.cloud.call('silenceDea', { dea: DEA, maxS: dropletLostS + MARGIN_S });
  const requests = await stage.cloud.call('takeRequestCounts', {});
  const { latency, missing, repeated, unexpected, seconds } = stats;

  const lastHeartbeatMs = Number(await redis.client.zscore(redis.keys.deasLastHeartbeat, deaId(DEA)));
  const ids = Array.from({ length: PER_DEA }, (_, at) => dropletId(DEA * PER_DEA + at));
  const decided = (await readDroplets(redis, ids))
    .filter((record): record is Droplet => record !== undefined && !(record instanceof Error))
    .map((droplet) => droplet.slots.get(0)?.start?.decidedMs)
    .filter((decidedMs) => decidedMs !== undefined);
  const lateS = (Math.max(...decided) - lastHeartbeatMs) / 1000 - dropletLostS;
  await stage.cloud.call('resumeDea', { dea: DEA });

  const perS = (1000 * settings.startsPerPeriod) / settings.startsPeriodMs;
  return {
    run: `a DEA with ${PER_DEA} instances goes silent, droplet_lost ${dropletLostS} s`,
    figures: [
      { what: 'last decided after droplet_lost', value: lateS, unit: 's', max: 1 },
      { what: 'first on the wire after droplet_lost', value: firstS(stats) - dropletLostS, unit: 's' },
      { what: 'last on the wire after droplet_lost', value: latency.maxMs / 1000 - dropletLostS, unit: 's' },
      { what: `rate on the wire, limit ${perS}/s`, value: PER_DEA / seconds, unit: '/s' },
    ],
    wrong: [
      ...differences(
        {
          starts: requests.starts,
          stops: requests.stops,
          missing,
          repeated,
          unexpected,
          decided: decided.length,
        },
        { starts: PER_DEA, stops: 0, missing: 0, repeated: 0, unexpected: 0, decided: PER_DEA },
      ),
      ...(lateS < 0 ? [`decided ${-lateS} s before the end of droplet_lost`] : []),
    ],
  };
}

const firstS = ({ latency, seconds }: { latency: { maxMs: number }; seconds: number }) =>
  latency.maxMs / 1000 - seconds;
