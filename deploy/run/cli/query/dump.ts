import type { ObservedDroplet } from '../../../../common/explain/observed-droplet.ts';
import { presentOf } from '../../../../common/explain/present/present.ts';
import { timesOf } from '../../../../common/explain/wording.ts';
import { lostBefore } from '../../../../common/policy/fleet/liveness.ts';
import { readHolds } from '../../../../common/redis/fleet/holds/holds.ts';
import { isRead, readIds, readWithDeas } from '../../../../common/redis/records/readers.ts';
import { dropletJson } from '../../../../common/views/droplet/droplet-json.ts';
import { readProcessesView, waitForNudger } from '../../../../common/views/read-processes.ts';
import { type RedisSession, withRedis } from '../connection/with-redis.ts';
import type { ConfigOption } from '../options.ts';
import { note, Output, painter } from '../output/output.ts';
import { Progress } from '../output/progress.ts';
import { troubleOf } from './trouble.ts';

export interface DumpOptions extends ConfigOption {
  json?: boolean;
}

/** Droplets that are read and written together, which bounds the memory. */
const BATCH_SIZE = 200;

/** `hm dump`: one line for each droplet; exit code 1 when a record cannot be read. */
export function dump(options: DumpOptions): Promise<number> {
  return withRedis(options, async (session) => {
    const lineOf = options.json ? jsonLine : await textLine(session);
    const output = new Output();
    // On a terminal the lines themselves show the progress.
    const progress = process.stdout.isTTY ? undefined : new Progress();
    let unreadable = 0;
    let droplets = 0;
    for await (const { ids, share } of batches(session)) {
      const { views, failed } = await viewsOf(session, ids);
      const lines = [
        ...views.map(lineOf),
        ...(options.json
          ? failed.map(([id, error]) => JSON.stringify({ droplet: id, error: error.message }))
          : []),
      ];
      if (failed.length > 0) progress?.clear();
      for (const [id, error] of failed) note(`droplet ${id}: ${error.message}`);
      unreadable += failed.length;
      if (lines.length > 0 && !(await output.write(`${lines.join('\n')}\n`))) {
        progress?.clear();
        return 0;
      }
      droplets += ids.length;
      progress?.show(`${droplets} droplets`, share);
    }
    progress?.clear();
    return unreadable === 0 ? 0 : 1;
  });
}

/** The ids of all droplets, slice by slice. `share` is the part of the slices read so far, 0 to 1. */
async function* batches({ redis }: RedisSession): AsyncGenerator<{ ids: string[]; share: number }> {
  for (let slice = 0; slice < redis.keys.slices; slice++) {
    const ids = await readIds(redis, slice);
    for (let at = 0; at < ids.length; at += BATCH_SIZE)
      yield { ids: ids.slice(at, at + BATCH_SIZE), share: (slice + 1) / redis.keys.slices };
  }
}

async function viewsOf(
  { redis, settings, now }: RedisSession,
  ids: readonly string[],
): Promise<{ views: ObservedDroplet[]; failed: [id: string, error: Error][] }> {
  const requestedMs = await now();
  const clock = { nowMs: () => requestedMs };
  const [{ droplets: records, deas, nowMs }, { listeningGaps }] = await Promise.all([
    readWithDeas(redis, clock, ids),
    readHolds(redis, clock, settings.policy),
  ]);
  const lostBeforeMs = lostBefore(nowMs, listeningGaps, settings.policy);
  const droplets = records.filter(isRead);
  return {
    views: droplets.map((droplet) => ({ droplet, deas, nowMs, lostBeforeMs, settings: settings.policy })),
    failed: records.flatMap((record, at): [string, Error][] =>
      record instanceof Error ? [[ids[at] as string, record]] : [],
    ),
  };
}

function jsonLine(view: ObservedDroplet): string {
  return JSON.stringify(dropletJson(view));
}

/** `web: 2 of 3 run; index 1 MISSING, start (missing) sent 3 s ago` */
async function textLine({ redis, settings, now }: RedisSession): Promise<(view: ObservedDroplet) => string> {
  const nowMs = await now();
  const times = timesOf(nowMs, false);
  const holds = await readHolds(redis, { nowMs: () => nowMs }, settings.policy);
  const workers = waitForNudger(await readProcessesView(redis, nowMs));
  const paint = painter();
  return (view) => {
    const present = presentOf(view, holds, times, workers);
    const { wanted, running } = present;
    const { id, desired, goneMs } = view.droplet;
    const what = goneMs !== undefined ? 'no longer listed' : (desired?.state ?? 'never listed');
    const isStaged = desired === undefined || goneMs !== undefined || desired.packageState === 'STAGED';
    const parts = [
      `${what}${isStaged ? '' : `, package ${desired.packageState}`}${wanted > 0 ? `, ${running} of ${wanted} run` : ''}`,
      ...troubleOf(present, paint),
    ];
    return `${id}: ${parts.join('; ')}`;
  };
}
