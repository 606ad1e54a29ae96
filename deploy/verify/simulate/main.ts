/** `npm run simulate`: years of events and faults in virtual time. It fails if a problem was found. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import { drawEpisode, type Episode } from './history.ts';
import { Pool } from './pool.ts';
import { DAY_MS, failureText, Report } from './report.ts';
import { shrink } from './shrink.ts';
import type { Answer } from './worker.ts';

interface Options {
  days: number;
  seconds?: number;
  seed: number;
  episodes: number;
  jobs: number;
  replay?: string;
  save?: string;
  shrink: boolean;
}

/** Histories that are tried to find the shortest one. */
const TRIES = 80;
/** Failing seeds that are shrunk. */
const SHRUNK = 3;

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('expected a number of at least 0');
  return value;
}

const program = new Command('npm run simulate --')
  .description(
    'Runs years of events and faults in virtual time and checks that no instance is harmed or lost.',
  )
  .option('--days <n>', 'virtual days', number, 10)
  .option('--seconds <n>', 'begins no further seed after this many real seconds', number)
  .option('--seed <n>', 'the first seed; the same seed gives the same run', number, 1)
  .option('--episodes <n>', 'of each seed, which is one deployment; sizes differ', number, 20)
  .option('--jobs <n>', 'seeds at the same time', number, availableParallelism())
  .option('--replay <file>', 'runs the history in this file, as `--save` writes it')
  .option('--save <file>', 'writes the shortest history that fails to this file')
  .option('--no-shrink', 'does not look for the shortest history that fails')
  .exitOverride();

interface Saved {
  seed: number;
  episodes: readonly Episode[];
}

async function replay(file: string, pool: Pool): Promise<number> {
  const { seed, episodes } = JSON.parse(readFileSync(file, 'utf8')) as Saved;
  const answer = await pool.run({ seed, episodes, isTold: true });
  if (answer.problems.length === 0) {
    console.log(`seed ${seed}: no problem (digest ${answer.digest})`);
    return EXIT.done;
  }
  console.log(failureText(answer, episodes));
  return EXIT.failed;
}

/** The kind of the first problem, so that shrinking does not end at another one. */
const kindOf = ({ problems }: Answer) =>
  /(wrong start|wrong stop|lost|at rest|fault|\S+):/.exec(problems[0]?.slice(25) ?? '')?.[1];

async function explain(answer: Answer, pool: Pool, options: Options): Promise<void> {
  const { seed, failedEpisode = 0 } = answer;
  let episodes: readonly Episode[] = Array.from({ length: failedEpisode + 1 }, (_, n) =>
    drawEpisode(seed, n),
  );
  const kind = kindOf(answer);
  if (options.shrink) {
    const fails = async (shorter: readonly Episode[]) => {
      const tried = await pool.run({ seed, episodes: shorter, isTold: false });
      return tried.problems.length > 0 && kindOf(tried) === kind;
    };
    episodes = await shrink(episodes, { fails, tries: TRIES });
  }
  const told = await pool.run({ seed, episodes, isTold: true });
  console.log(`\n${failureText(told, episodes)}\n`);
  if (options.save !== undefined)
    writeFileSync(options.save, JSON.stringify({ seed, episodes } satisfies Saved));
}

async function main(): Promise<number> {
  program.parse();
  const options = program.opts<Options>();
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  const pool = new Pool(Math.max(1, options.jobs), abort.signal);
  if (options.replay !== undefined) return replay(options.replay, pool);

  const report = new Report();
  const beganMs = performance.now();
  const isOver = () =>
    abort.signal.aborted ||
    report.days >= options.days ||
    performance.now() - beganMs > (options.seconds ?? Number.POSITIVE_INFINITY) * 1000;
  let next = options.seed;
  const work = async () => {
    while (!isOver()) {
      const seed = next++;
      const episodes = Array.from({ length: options.episodes }, (_, n) => drawEpisode(seed, n));
      const answer = await pool.run({ seed, episodes, isTold: false });
      report.add(answer);
      const result = answer.problems[0] ?? 'no problem';
      console.error(
        `seed ${seed}: ${(answer.passedMs / DAY_MS).toFixed(1)} days, digest ${answer.digest}: ${result}`,
      );
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, options.jobs) }, work));
  const tookMs = performance.now() - beganMs;
  for (const answer of report.failed.slice(0, SHRUNK))
    if (!abort.signal.aborted) await explain(answer, pool, options);
  console.log(report.text(tookMs));
  return report.failed.length === 0 ? EXIT.done : EXIT.failed;
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT.failed;
});
process.exit();
