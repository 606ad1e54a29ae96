/** `npm run chaos`: faults of every kind around a health manager that serves a simulated cloud. It fails if a problem was found. */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import { EVENT_KINDS } from './events.ts';
import { FAULT_KINDS } from './faults/faults.ts';
import { runRolling } from './rolling.ts';
import { runChaos } from './run.ts';
import { removeLogs } from './stage.ts';
import { RECOVERED_WITHIN_MS } from './watched-cloud.ts';

interface Options {
  seconds: number;
  seed: number[];
  kinds?: string[];
  events?: string[];
  rolling?: true;
  verbose?: true;
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('expected a number of at least 0');
  return value;
}

let seedsGiven = false;
/** The first seed on the command line replaces the default. */
function seeds(text: string, before: number[]): number[] {
  const given = seedsGiven ? before : [];
  seedsGiven = true;
  return [...given, number(text)];
}

function kinds(text: string, before: string[] = []): string[] {
  if (text === 'all') return [...FAULT_KINDS];
  if (!FAULT_KINDS.includes(text))
    throw new InvalidArgumentError(`expected all or one of: ${FAULT_KINDS.join(', ')}`);
  return [...before, text];
}

function events(text: string, before: string[] = []): string[] {
  if (!EVENT_KINDS.includes(text))
    throw new InvalidArgumentError(`expected one of: ${EVENT_KINDS.join(', ')}`);
  return [...before, text];
}

const program = new Command('npm run chaos --')
  .description('Breaks everything around the health manager and checks that it harms and loses no instance.')
  .option('--seconds <n>', 'duration of the run', number, 60)
  .option(
    '--seed <n...>',
    'the same seed gives the same faults in the same order; several seeds run in parallel',
    seeds,
    [1],
  )
  .option(
    '--kinds <kind...>',
    `draws only faults of these kinds; all: of every kind, as by default. Kinds: ${FAULT_KINDS.join(', ')}`,
    kinds,
  )
  .option('--events <kind...>', `draws only events of these kinds. Kinds: ${EVENT_KINDS.join(', ')}`, events)
  .option('--rolling', 'no faults: replaces every process by a successor, one after the other, under load')
  .option(
    '--verbose',
    'also lists decisions that were wrong for a reason that the health manager cannot know',
  )
  .exitOverride();

/**
 * Runs one cloud with one health manager.
 *
 * @returns whether no problem was found
 */
async function run(seed: number, options: Options, signal: AbortSignal): Promise<boolean> {
  const { seconds, kinds, events, verbose, rolling } = options;
  const progress = (text: string) =>
    console.error(`${new Date().toISOString().slice(11, 19)}  seed ${seed}, ${text}`);
  const { ledger, dir, figures } = rolling
    ? await runRolling({ seed, signal, progress })
    : { ...(await runChaos({ seconds, seed, kinds, events, signal, progress })), figures: [] };
  const problems = verbose ? ledger.all : ledger.problems;
  const what = rolling
    ? 'every process replaced, new one first and old one first'
    : `must recover within ${RECOVERED_WITHIN_MS / 1000} s after the last fault of each round`;
  console.log([...problems, '', `seed ${seed}; ${what}`, '', ...figures, ledger.table(), ''].join('\n'));
  if (ledger.right) removeLogs(dir);
  else console.log(`the logs of the processes are in ${dir}`);
  return ledger.right;
}

async function main(): Promise<number> {
  program.parse();
  const options = program.opts<Options>();
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  const right = await Promise.all(options.seed.map((seed) => run(seed, options, abort.signal)));
  return right.every((one) => one) ? EXIT.done : EXIT.failed;
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT.failed;
});
process.exit();
