/** `npm run mutants`: changes safety code in one place at a time, and shows which tests notice it. */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { EXIT } from '../../../common/runtime/lifecycle/exit-codes.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { AREAS, MUTATED } from './all.ts';
import { type Area, locate, type Mutant } from './mutant.ts';
import { runTests, type TestResult } from './run-tests.ts';
import { type Result, summary, table } from './table.ts';

interface Options {
  only?: string;
  json?: string;
  timeout: number;
}

const PROPERTIES = '**/*.prop.test.ts';
/** What a copy of the tree does without, or shares. */
const LEFT_OUT = new Set(['node_modules', 'dist', '.git', '.hm']);
const SHARED = ['node_modules', 'dist'];

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('expected a number above 0');
  return value;
}

const program = new Command('npm run mutants --')
  .description('Changes safety code in one place at a time, and shows which tests notice it.')
  .option('--only <text>', 'only mutants whose area, name or file contains this text')
  .option('--json <file>', 'keeps the results in this file; what it has already is not run again')
  .option('--timeout <seconds>', 'for one run of tests', seconds, 240)
  .exitOverride();

function copyTree(): string {
  const root = mkdtempSync(join(tmpdir(), 'hm-mutants-'));
  cpSync(packageRoot, root, {
    recursive: true,
    filter: (path) => !LEFT_OUT.has(relative(packageRoot, path)),
  });
  for (const name of SHARED) symlinkSync(join(packageRoot, name), join(root, name));
  return root;
}

/** Runs the quick tests, then the others if none of those notices the mutant. */
async function tryMutant(
  { tests, more = [] }: Area,
  root: string,
  { timeout }: Options,
  broken: ReadonlySet<string>,
): Promise<Pick<Result, 'outcome' | 'by'>> {
  const timeoutMs = timeout * 1000;
  const noticed = (result: TestResult): Pick<Result, 'outcome' | 'by'> | undefined => {
    if (result === 'timed out') return { outcome: 'killed', by: ['(the tests did not end)'] };
    const by = result.failed.filter((file) => !broken.has(file));
    return by.length === 0 ? undefined : { outcome: 'killed', by };
  };
  const quick = await runTests({ root, args: [...tests, '--exclude', PROPERTIES], timeoutMs });
  return (
    noticed(quick) ??
    noticed(await runTests({ root, args: [...tests, ...more, '--bail=1'], timeoutMs })) ?? {
      outcome: 'survived',
      by: [],
    }
  );
}

async function main(): Promise<number> {
  program.parse();
  const options = program.opts<Options>();
  const { only = '', json } = options;
  const isChosen = ({ name }: Area, mutant: Mutant) =>
    [name, mutant.name, mutant.file].some((text) => text.includes(only));
  const results: Result[] =
    json !== undefined && existsSync(json) ? (JSON.parse(readFileSync(json, 'utf8')) as Result[]) : [];
  const done = new Set(results.map(({ name }) => name));
  const root = copyTree();
  process.once('exit', () => rmSync(root, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(EXIT.failed));
  const files = MUTATED.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
  ).filter((file) => /(?<!\.test)\.(ts|lua)$/.test(file));
  for (const area of AREAS) {
    const chosen = area.mutants.filter((mutant) => isChosen(area, mutant) && !done.has(mutant.name));
    if (chosen.length === 0) continue;
    const unchanged = await runTests({
      root,
      args: [...area.tests, '--exclude', PROPERTIES],
      timeoutMs: 2 * options.timeout * 1000,
    });
    if (unchanged === 'timed out')
      throw new Error(`${area.name}: the tests of the unchanged code did not end`);
    const broken = new Set(unchanged.failed);
    if (broken.size > 0)
      console.error(`${area.name}: fail without a mutant, so they do not count: ${[...broken].join(', ')}`);
    for (const mutant of chosen) {
      const path = locate(mutant, root, files);
      const text = readFileSync(join(root, path), 'utf8');
      writeFileSync(
        join(root, path),
        text.replace(mutant.from, () => mutant.to),
      );
      const { outcome, by } = await tryMutant(area, root, options, broken);
      writeFileSync(join(root, path), text);
      const { name, equivalent } = mutant;
      const result = { area: area.name, name, file: path, outcome, by, ...(equivalent && { equivalent }) };
      results.push(result);
      if (json !== undefined) writeFileSync(json, JSON.stringify(results, undefined, 1));
      console.error(`${outcome} ${path}: ${name} ${by.map((file) => basename(file)).join(' ')}`);
    }
  }
  console.log(`${table(results)}\n\n${summary(results)}`);
  const isOpen = results.some((result) => result.outcome === 'survived' && result.equivalent === undefined);
  return isOpen ? EXIT.failed : EXIT.done;
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT.failed;
});
process.exit();
