import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

interface Options {
  /** The tree whose tests are run. */
  root: string;
  /** What `vitest run` takes: paths and options. */
  args: readonly string[];
  timeoutMs: number;
}

/** What a run of tests came to: the files with a failed test, relative to the tree; or it did not end in time. */
export type TestResult = { failed: readonly string[] } | 'timed out';

interface Report {
  testResults: { name: string; status: string }[];
}

/** Runs tests in a process group of its own, so that a run that hangs leaves nothing behind. */
export async function runTests({ root, args, timeoutMs }: Options): Promise<TestResult> {
  const report = join(root, 'mutant-report.json');
  rmSync(report, { force: true });
  const child = spawn(
    join(root, 'node_modules', '.bin', 'vitest'),
    ['run', ...args, '--maxWorkers=2', '--reporter=json', `--outputFile.json=${report}`],
    { cwd: root, stdio: 'ignore', detached: true, env: { ...process.env, CI: '' } },
  );
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, timeoutMs);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  if (isLate) return 'timed out';
  if (!existsSync(report))
    throw new Error(`vitest ended with ${code} and wrote no report: ${args.join(' ')}`);
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
  const failed = testResults
    .filter(({ status }) => status === 'failed')
    .map(({ name }) => relative(root, name));
  // A mutant that cannot be imported fails no test file of its own.
  return { failed: code !== 0 && failed.length === 0 ? ['(none could run)'] : failed };
}
