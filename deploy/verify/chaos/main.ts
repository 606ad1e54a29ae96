/** `npm run chaos`: faults of every kind while a simulated cloud is watched. Exit codes: 0 all right, 1 something was wrong, 64 wrong usage. */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { runRolling } from './rolling.ts';
import { runChaos } from './run.ts';
import { sweep } from './stage.ts';
import { WHOLE_WITHIN_MS } from './watched-cloud.ts';

interface Options {
  seconds: number;
  seed: number[];
  rolling?: true;
  verbose?: true;
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('expected a number');
  return value;
}

let seedsGiven = false;
/** The first one given takes the place of the default. */
function seeds(text: string, before: number[]): number[] {
  const given = seedsGiven ? before : [];
  seedsGiven = true;
  return [...given, number(text)];
}

const program = new Command('npm run chaos --')
  .description(
    'Breaks everything around the health manager and watches that it neither harms nor loses anything.',
  )
  .option('--seconds <n>', 'how long', number, 60)
  .option(
    '--seed <n...>',
    'the same seed breaks the same things in the same order; several run side by side',
    seeds,
    [1],
  )
  .option(
    '--rolling',
    'breaks nothing: replaces every process by a successor, one after the other, under load',
  )
  .option('--verbose', 'tells also of what was not right by the truth, but could not be known better')
  .exitOverride();

/** One cloud with one health manager. @returns whether all was right */
async function run(seed: number, options: Options, signal: AbortSignal): Promise<boolean> {
  const { seconds, verbose, rolling } = options;
  const progress = (text: string) =>
    console.error(`${new Date().toISOString().slice(11, 19)}  seed ${seed}, ${text}`);
  const { ledger, dir, figures } = rolling
    ? await runRolling({ seed, signal, progress })
    : { ...(await runChaos({ seconds, seed, signal, progress })), figures: [] };
  const problems = verbose ? ledger.all : ledger.problems;
  const what = rolling
    ? 'every process replaced, new one first and old one first'
    : `to be whole within ${WHOLE_WITHIN_MS / 1000} s after the last fault of each round`;
  console.log([...problems, '', `seed ${seed}; ${what}`, '', ...figures, ledger.table(), ''].join('\n'));
  if (ledger.right) sweep(dir);
  else console.log(`what the processes said is in ${dir}`);
  return ledger.right;
}

async function main(): Promise<number> {
  program.parse();
  const options = program.opts<Options>();
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  const right = await Promise.all(options.seed.map((seed) => run(seed, options, abort.signal)));
  return right.every((one) => one) ? 0 : 1;
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 64;
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
});
process.exit();
