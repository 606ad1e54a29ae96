/** A Redis with apps and a decision log, without processes that wrote them: what pages are read from. */
import type { LogEntry } from '../../../../../common/model/decision-log.ts';
import { desired, droplet, instance } from '../../../../../common/testing/builders.ts';
import { store } from '../../../fixtures/reporter.ts';
import type { Stage } from '../../stage/stage.ts';

const APPS_A_DEA = 10;
/** One app in this many lacks its instance. */
const MISSING_EVERY = 20;
/** One entry of the decision log in this many is of a rare kind. */
const RARE_EVERY = 50_000;
const BATCH = 500;
const VERSION = 'v';

/**
 * Stores `apps` apps of one instance, ten a DEA, and entries of the decision log about them, and starts a reporter.
 *
 * @returns how many DEAs there are
 */
export async function serveFilled(
  stage: Stage,
  { apps, entries, progress }: { apps: number; entries: number; progress: (text: string) => void },
): Promise<number> {
  const deas = apps / APPS_A_DEA;
  progress(`storing ${apps} apps on ${deas} DEAs`);
  await fillApps(stage, apps);
  await fillLog(stage, entries, apps);
  await stage.start('reporter');
  return deas;
}

/** Stores `apps` apps of one instance, ten a DEA. */
async function fillApps({ redis }: Stage, apps: number): Promise<void> {
  const { client, keys } = redis;
  const [seconds] = await client.time();
  // Heartbeats of the future: no DEA is lost while the pages are measured.
  const nowMs = (Number(seconds) + 3_600) * 1000;
  for (let from = 0; from < apps; from += BATCH) {
    await Promise.all(
      Array.from({ length: Math.min(BATCH, apps - from) }, async (_, at) => {
        const n = from + at;
        const id = `app-${String(n).padStart(6, '0')}`;
        const dea = `dea-${String(Math.floor(n / APPS_A_DEA)).padStart(5, '0')}`;
        const isMissing = n % MISSING_EVERY === 0;
        const record = droplet({
          ...{ id, desired: desired({ version: VERSION }), firstSeenMs: Number(seconds) * 1000 - 600_000 },
          instances: isMissing ? [] : [instance(`i-${n}`, { dea, version: VERSION })],
        });
        await Promise.all([
          store(redis, record),
          client.hset(keys.indexOf(id), id, ''),
          client.hincrby(keys.deasCount, dea, 1),
          client.zadd(keys.deasLastHeartbeat, nowMs, dea),
          ...(isMissing ? [client.zadd(keys.troubled(keys.sliceOf(id)), 1_000_001, id)] : []),
        ]);
      }),
    );
  }
}

/** Stores entries of the decision log about these apps, ten milliseconds apart. */
async function fillLog({ redis }: Stage, entries: number, apps: number): Promise<void> {
  const { client, keys } = redis;
  const [seconds] = await client.time();
  const nowMs = Number(seconds) * 1000;
  for (let from = 0; from < entries; from += BATCH) {
    await Promise.all(
      Array.from({ length: Math.min(BATCH, entries - from) }, (_, at) => {
        const n = from + at;
        const id = `app-${String((n * 7919) % apps).padStart(6, '0')}`;
        const atMs = nowMs - (entries - n) * 10;
        const kind = n % RARE_EVERY === 0 ? 'giveup' : 'start';
        const entry: LogEntry = {
          ...{ atMs, droplet: id, kind, id: `s-${n}`, reason: 'missing', index: 0, version: VERSION },
          dea: 'dea-00001',
        };
        return client.xadd(
          keys.decisions(keys.sliceOf(id)),
          `${atMs}-${n % 100}`,
          'entry',
          JSON.stringify(entry),
        );
      }),
    );
  }
}
