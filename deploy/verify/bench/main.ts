/** `npm run bench`: measures the figures of `deploy/docs/performance.md`. It fails if a row has an error. */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import { machineLine, thisMachine } from './measure/machine.ts';
import { MEASUREMENTS, readGuarded, record, worse } from './results/guard.ts';
import { keep } from './results/kept-run.ts';
import { farFrom, type RowResult, reached } from './results/row.ts';
import { tableOf } from './results/table.ts';
import { ROW_GROUPS } from './rows/all-rows.ts';
import { largestFleet } from './rows/steady/largest-fleet.ts';
import { HEARTBEAT_MS } from './stage/load-fleet.ts';

const QUICK_SIZE = 0.05;
/** A quick run has fewer DEAs with a shorter interval, so that messages are still most of the work. */
const QUICK_HEARTBEAT_MS = 1_000;

const ALL = ROW_GROUPS.flatMap(({ rows }) => rows);

interface Options {
  quick?: true;
  size?: number;
  json?: string;
  strict?: true;
  atWorst?: number;
  largest?: true;
  profile?: string[];
  cluster?: true;
  record?: true;
  keep?: true;
}

function factor(text: string): number {
  const times = Number(text);
  if (!(times >= 1)) throw new InvalidArgumentError('expected a number of at least 1');
  return times;
}

function share(text: string): number {
  const size = Number(text);
  if (!(size > 0 && size <= 1)) throw new InvalidArgumentError('expected a number above 0, at most 1');
  return size;
}

const program = new Command('npm run bench --')
  .description('Measures the health manager with real servers and processes, and checks what it measures.')
  .argument('[rows...]', `rows to measure: ${ALL.join(', ')} (default: all)`)
  .option('--quick', 'a twentieth of the size, and short times')
  .option('--size <share>', 'this share of the size, with the times of a full run', share)
  .option('--json <file>', 'write the results as JSON, too')
  .option('--strict', 'also fail if a target is missed')
  .option(
    '--at-worst <times>',
    'a ratio (not a time) that is more than this many times worse than its target is an error',
    factor,
  )
  .option('--record', 'keep the ratios of this quick run in guarded.json, with which later ones are compared')
  .option('--keep', 'keep the results in kept-run.json, each in the place of the one before of its row')
  .option(
    '--largest',
    'instead of rows: the largest steady fleet that this machine can serve, up to 3,000,000 instances',
  )
  .option('--cluster', 'use a Redis Cluster of three nodes (compare P1, P4 and P5)')
  .option(
    '--profile <process...>',
    'processes that write a CPU profile (*.cpuprofile) into the working directory',
  )
  .exitOverride();

async function main(): Promise<number> {
  program.parse();
  const options = program.opts<Options>();
  const wanted = new Set((program.args.length === 0 ? ALL : program.args).map((row) => row.toUpperCase()));
  const unknown = [...wanted].filter((row) => !ALL.includes(row));
  if (unknown.length > 0) {
    console.error(`unknown row ${unknown.join(', ')}; expected one of ${ALL.join(', ')}`);
    return EXIT.usage;
  }
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort(new Error('ended by Ctrl-C')));
  process.once('SIGTERM', () => abort.abort(new Error('ended by SIGTERM')));
  const isQuick = options.quick === true;
  const context = {
    scale: options.size ?? (isQuick ? QUICK_SIZE : 1),
    isQuick,
    steadyS: isQuick ? 8 : 300,
    windowS: isQuick ? 5 : 60,
    heartbeatMs: isQuick ? QUICK_HEARTBEAT_MS : HEARTBEAT_MS,
    signal: abort.signal,
    profile: new Set(options.profile ?? []),
    cluster: options.cluster === true,
    progress: (text: string) => console.error(`${new Date().toISOString().slice(11, 19)}  ${text}`),
  };
  const groups = options.largest ? [{ rows: ['P1'], run: largestFleet }] : ROW_GROUPS;
  const measure = async (rowsWanted: ReadonlySet<string>) => {
    const results = new Map<string, RowResult>();
    for (const group of groups) {
      const rows = group.rows.filter((row) => rowsWanted.has(row));
      if (rows.length === 0) continue;
      context.progress(rows.join(' '));
      const aborted = new Promise<never>((_, reject) => {
        abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true });
      });
      const measured = await Promise.race([group.run(context, new Set(rows)), aborted]);
      for (const [row, result] of measured) results.set(row, result);
    }
    return results;
  };
  const [loadBefore = Number.NaN] = loadavg();
  const results = await measure(wanted);
  if (isQuick && options.size === undefined && !options.cluster && !options.profile) {
    if (options.record) record(results);
    else await guard(results, measure, context.progress);
  }
  if (options.atWorst !== undefined) {
    for (const { figures, wrong } of results.values()) wrong.push(...farFrom(figures, options.atWorst));
  }
  const machine = await thisMachine();
  if (options.keep) {
    const date = new Date().toISOString().slice(0, 10);
    keep(results, { date, machine, scale: context.scale, loadBefore, cluster: context.cluster });
  }
  console.log(`${machineLine(machine)}\n\n${tableOf(results)}`);
  const wrong = [...results.values()].some((row) => row.wrong.length > 0);
  const missed = [...results.values()].some(({ figures }) => !figures.every(reached));
  if (options.json !== undefined) {
    const rows = Object.fromEntries(results);
    writeFileSync(options.json, `${JSON.stringify({ machine, scale: context.scale, rows }, null, 2)}\n`);
  }
  return wrong || (missed && options.strict) ? EXIT.failed : EXIT.done;
}

/** Adds an error to each row with a ratio that is worse than the kept ones, also in the median of several measurements. */
async function guard(
  results: Map<string, RowResult>,
  measure: (rows: ReadonlySet<string>) => Promise<Map<string, RowResult>>,
  progress: (text: string) => void,
): Promise<void> {
  const guarded = readGuarded();
  const measured = new Map(Array.from(results, ([row, { figures }]) => [row, [figures]]));
  const again = new Set(
    [...measured].filter(([row, figures]) => worse(row, figures, guarded).length > 0).map(([row]) => row),
  );
  for (let n = 1; n < MEASUREMENTS && again.size > 0; n++) {
    progress(`worse than before, measured again: ${[...again].join(' ')}`);
    for (const [row, { figures }] of await measure(again)) measured.get(row)?.push(figures);
  }
  for (const [row, figures] of measured) results.get(row)?.wrong.push(...worse(row, figures, guarded));
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  console.error(error instanceof Error ? error.message : String(error));
  return EXIT.failed;
});
// An aborted stage leaves load processes behind, which end with this process.
process.exit();
