import type { Droplet } from '../../../../common/model/droplet.ts';
import { readDroplets } from '../../../../common/redis/scripts/droplets/read-droplets.ts';
import { deaId, dropletId, PER_DEA } from '../fleet.ts';
import { type Context, differences, type Measured } from '../row.ts';
import type { Stage } from '../stage.ts';

const DEA = 3;
/** What it may take longer than `droplet_lost` before the row gives up. */
const PATIENCE_S = 60;

/** P6: one DEA falls silent: when its instances' starts are decided, and when they are on the wire. */
export async function silentDea(
  stage: Stage,
  dropletLostS: number,
  { progress }: Context,
): Promise<Measured> {
  progress(`a DEA falls silent, ${dropletLostS} s to wait`);
  const { redis, settings } = stage;
  await stage.cloud.ask('asked', {});
  const came = await stage.cloud.ask('silence', { dea: DEA, atMostS: dropletLostS + PATIENCE_S });
  const asked = await stage.cloud.ask('asked', {});
  const { latency, missing, twice, unasked, seconds } = came;

  const lastHeartbeatMs = Number(await redis.client.zscore(redis.keys.deasLastHeartbeat, deaId(DEA)));
  const ids = Array.from({ length: PER_DEA }, (_, at) => dropletId(DEA * PER_DEA + at));
  const decided = (await readDroplets(redis, ids))
    .filter((record): record is Droplet => record !== undefined && !(record instanceof Error))
    .map((droplet) => droplet.slots.get(0)?.start?.decidedMs)
    .filter((decidedMs) => decidedMs !== undefined);
  const lateS = (Math.max(...decided) - lastHeartbeatMs) / 1000 - dropletLostS;
  await stage.cloud.ask('resume', { dea: DEA });

  const perS = (1000 * settings.startsPerPeriod) / settings.startsPeriodMs;
  return {
    run: `a DEA with ${PER_DEA} instances falls silent, droplet_lost ${dropletLostS} s`,
    figures: [
      { what: 'last decided after droplet_lost', value: lateS, unit: 's', most: 1 },
      { what: 'first on the wire after droplet_lost', value: firstS(came) - dropletLostS, unit: 's' },
      { what: 'last on the wire after droplet_lost', value: latency.maxMs / 1000 - dropletLostS, unit: 's' },
      { what: `rate on the wire, limit ${perS}/s`, value: PER_DEA / seconds, unit: '/s' },
    ],
    wrong: [
      ...differences(
        { starts: asked.starts, stops: asked.stops, missing, twice, unasked, decided: decided.length },
        { starts: PER_DEA, stops: 0, missing: 0, twice: 0, unasked: 0, decided: PER_DEA },
      ),
      ...(lateS < 0 ? [`decided ${-lateS} s before droplet_lost was over`] : []),
    ],
  };
}

const firstS = ({ latency, seconds }: { latency: { maxMs: number }; seconds: number }) =>
  latency.maxMs / 1000 - seconds;
