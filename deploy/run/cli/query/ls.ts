import { absentText } from '../../../../common/explain/present/step.ts';
import { STOP_TEXT, type Times, timesOf } from '../../../../common/explain/wording.ts';
import { readHolds } from '../../../../common/redis/fleet/holds/holds.ts';
import { readWithDeas } from '../../../../common/redis/records/readers.ts';
import { readAppPage } from '../../../../common/views/apps/app-list.ts';
import type { AppProblem, AppRow, AppSort } from '../../../../common/views/apps/app-list-types.ts';
import { readProcessesView, waitForNudger } from '../../../../common/views/read-processes.ts';
import { withRedis } from '../connection/with-redis.ts';
import type { ConfigOption } from '../options.ts';
import { note, Output, painter } from '../output/output.ts';

export interface LsOptions extends ConfigOption {
  state?: readonly AppProblem[];
  search?: string;
  dea?: string;
  sort?: AppSort;
  limit: number;
  json?: boolean;
  utc?: boolean;
}

/** Rows of one page. */
const PAGE = 200;

/** `hm ls`: droplets, one a line, with what is wrong and what happens next. */
export function ls(options: LsOptions): Promise<number> {
  return withRedis(options, async ({ redis, settings, now }) => {
    const { policy } = settings;
    const clock = { nowMs: () => nowMs };
    const nowMs = await now();
    const [holds, processes] = await Promise.all([
      readHolds(redis, clock, policy),
      readProcessesView(redis, nowMs),
    ]);
    const reader = { read: (ids: readonly string[]) => readWithDeas(redis, clock, ids) };
    const sources = { redis, reader, holds, workers: waitForNudger(processes), policy };
    const { state, search, dea, limit } = options;
    const sort = options.sort ?? (state === undefined ? 'guid' : 'worst');
    const times = timesOf(nowMs, options.utc === true);
    const output = new Output();
    let cursor: string | undefined;
    let shown = 0;
    do {
      const page = await readAppPage(sources, {
        ...{ sort, limit: Math.min(PAGE, limit - shown) },
        ...(state !== undefined && { problems: state }),
        ...(search !== undefined && { search }),
        ...(dea !== undefined && { dea }),
        ...(cursor !== undefined && { cursor }),
      });
      for (const row of page.apps) {
        const text = options.json ? JSON.stringify(row) : lineOf(row, nowMs, times);
        if (!(await output.line(text))) return 0;
      }
      shown += page.apps.length;
      cursor = page.cursor;
    } while (cursor !== undefined && shown < limit);
    if (cursor !== undefined && !options.json) note(`there are more: --limit ${limit}`);
    return 0;
  });
}

/** `web  2 of 3 run; index 1 MISSING, start (missing) queued for 3 s, priority normal` */
function lineOf({ droplet, wanted, live, state, trouble }: AppRow, nowMs: number, times: Times): string {
  const paint = painter();
  const groups = (trouble?.groups ?? []).map(
    (group) =>
      `${group.count === 1 ? 'index' : 'indices'} ${group.indices} ${paint('trouble', group.state)}, ${absentText(group, nowMs, times)}`,
  );
  const stops = (trouble?.stops ?? []).map(
    ({ reason, count, held }) =>
      `${count} surplus (${STOP_TEXT[reason]})${held === undefined ? '' : `, held back: ${held}`}`,
  );
  const run = wanted === 0 ? (state ?? 'no longer listed') : `${live} of ${wanted} run`;
  return `${paint('bold', droplet)}  ${[run, ...groups, ...stops].join('; ')}`;
}
