import { formatDuration, timesOf } from '../../../../common/explain/wording.ts';
import {
  isMissing,
  missingText,
  type ProcessesView,
  problemText,
  versionsText,
} from '../../../../common/views/processes.ts';
import { readProcessesView } from '../../../../common/views/read-processes.ts';
import { withRedis } from '../connection/with-redis.ts';
import type { ConfigOption } from '../options.ts';
import { Output, painter } from '../output/output.ts';

export interface PsOptions extends ConfigOption {
  json?: boolean;
  utc?: boolean;
}

/** `hm ps`: the processes of the deployment, kinds without a working copy first. Exit code 1 if there is such a kind. */
export function ps(options: PsOptions): Promise<number> {
  return withRedis(options, async ({ redis, now }) => {
    const nowMs = await now();
    const view = await readProcessesView(redis, nowMs);
    const output = new Output();
    if (options.json) await output.line(JSON.stringify({ nowMs, ...view }));
    else await output.write(`${processLines(view, nowMs, options.utc === true).join('\n')}\n`);
    return view.kinds.some(isMissing) ? 1 : 0;
  });
}

const COLUMNS = ['KIND', 'HOST', 'PID', 'VERSION', 'SINCE', 'LAST WORK', 'DELAY', 'WAITS FOR'];

function processLines(view: ProcessesView, nowMs: number, utc: boolean): string[] {
  const paint = painter();
  const times = timesOf(nowMs, utc);
  const missing = view.kinds
    .filter(isMissing)
    .map(({ kind }) => paint('trouble', missingText(view, kind, nowMs)));
  const differ = versionsText(view);
  const rows = view.running.map(({ kind, host, pid, version, sinceMs, lastWorkMs, lagMs, problems }) => [
    kind,
    host,
    String(pid),
    version,
    times.at(sinceMs),
    lastWorkMs === undefined ? 'none yet' : `${formatDuration(nowMs - lastWorkMs)} ago`,
    formatDuration(lagMs),
    problems === undefined ? '-' : problemText(problems),
  ]);
  const table = rows.length === 0 ? [] : [COLUMNS, ...rows];
  const widths = COLUMNS.map((_, at) => Math.max(...table.map((row) => (row[at] ?? '').length)));
  return [
    ...missing,
    ...(differ === '' ? [] : [paint('action', differ)]),
    ...table.map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
  ];
}
