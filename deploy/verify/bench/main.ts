/** `npm run bench`: measures what the README's table says. Exit codes: 0 done, 1 a row is wrong, 64 wrong usage. */
import { writeFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { HEARTBEAT_MS } from './load-fleet.ts';
import { machineLine, thisMachine } from './machine.ts';
import { farFrom, type Measured, reached } from './row.ts';
import { largestFleet } from './rows/largest-fleet.ts';
import { SCENES } from './scenes.ts';
import { tableOf } from './table.ts';

/** A quick run has fewer DEAs: heard more often, the messages still are most of what the processes do. */
const QUICK_HEARTBEAT_MS = 1_000;

const ALL = SCENES.flatMap(({ rows }) => rows);

interface Options {
  quick?: true;
  json?: string;
  strict?: true;
  atWorst?: number;
  largest?: true;
  profile?: string[];
  cluster?: true;
}

function factor(text: string): number {
  const times = Number(text);
  if (!(times >= 1)) throw new InvalidArgumentError('expected a number of at least 1');
  return times;
}

const program = new Command('npm run bench --')
  .description('Measures the health manager with real servers and processes, and checks what it measures.')
  .argument('[rows...]', `rows to measure: ${ALL.join(', ')} (default: all)`)
  .option('--quick', 'at a twentieth of the size')
  .option('--json <file>', 'the results as JSON, too')
  .option('--strict', 'exit code 1 also when a target is missed')
  .option(
    '--at-worst <times>',
    'a ratio (not a time) that is more than so many times worse than its target counts as wrong',
    factor,
  )
  .option(
    '--largest',
    'instead of rows: how large a steady fleet this machine holds, up to 3,000,000 instances',
  )
  .option('--cluster', 'on a Redis Cluster of three nodes (P1, P4 and P5 tell how it compares)')
  .option(
    '--profile <process...>',
    'these processes write a CPU profile (*.cpuprofile) into the working directory',
  )
  .exitOverride();

async function main(): Promise<number> {
  program.parse();
  const options = program.opts<Options>();
  const wanted = new Set((program.args.length === 0 ? ALL : program.args).map((row) => row.toUpperCase()));
  const unknown = [...wanted].filter((row) => !ALL.includes(row));
  if (unknown.length > 0) {
    console.error(`no row ${unknown.join(', ')}; there are ${ALL.join(', ')}`);
    return 64;
  }
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort(new Error('ended by Ctrl-C')));
  process.once('SIGTERM', () => abort.abort(new Error('ended by SIGTERM')));
  const scale = options.quick ? 0.05 : 1;
  const context = {
    scale,
    steadyS: options.quick ? 8 : 300,
    windowS: options.quick ? 5 : 60,
    heartbeatMs: options.quick ? QUICK_HEARTBEAT_MS : HEARTBEAT_MS,
    signal: abort.signal,
    profile: new Set(options.profile ?? []),
    cluster: options.cluster === true,
    progress: (text: string) => console.error(`${new Date().toISOString().slice(11, 19)}  ${text}`),
  };
  const results = new Map<string, Measured>();
  const scenes = options.largest ? [{ rows: ['P1'], run: largestFleet }] : SCENES;
  for (const draft of scenes) {
    const rows = draft.rows.filter((row) => wanted.has(row));
    if (rows.length === 0) continue;
    context.progress(rows.join(' '));
    const aborted = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true });
    });
    const measured = await Promise.race([draft.run(context, new Set(rows)), aborted]);
    for (const [row, found] of measured) results.set(row, found);
  }
  if (options.atWorst !== undefined) {
    for (const { figures, wrong } of results.values()) wrong.push(...farFrom(figures, options.atWorst));
  }
  const machine = await thisMachine();
  console.log(`${machineLine(machine)}\n\n${tableOf(results)}`);
  const wrong = [...results.values()].some((row) => row.wrong.length > 0);
  const missed = [...results.values()].some(({ figures }) => !figures.every(reached));
  if (options.json !== undefined) {
    const rows = Object.fromEntries(results);
    writeFileSync(options.json, `${JSON.stringify({ machine, scale: context.scale, rows }, null, 2)}\n`);
  }
  return wrong || (missed && options.strict) ? 1 : 0;
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 64;
  console.error(error instanceof Error ? error.message : String(error));
  return 1;
});
// A stage that was broken off leaves load processes; they end with this one.
process.exit();
