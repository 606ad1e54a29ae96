import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';

export interface Count {
  passed: number;
  failed: number;
  skipped: number;
  /** One line for each failure that has a name. */
  failures?: string[];
}

/** The part of vitest's JSON report that is read. */
const report = Compile(
  Type.Object({
    testResults: Type.Array(
      Type.Object({
        /** The path of the file. */
        name: Type.String(),
        /** Not empty if something other than a test failed: a hook, an import or the leak check. */
        message: Type.String(),
        assertionResults: Type.Array(
          Type.Object({
            status: Type.String(),
            fullName: Type.String(),
            failureMessages: Type.Optional(Type.Array(Type.String())),
          }),
        ),
      }),
    ),
  }),
);

/**
 * Counts vitest's JSON report.
 *
 * @param exitCode of vitest; a failure outside the report, such as a crash or an unhandled error, still counts
 */
export function countVitest(file: string, exitCode: number | null): Count {
  const count = readReport(file);
  if (exitCode !== 0 && count.failed === 0) count.failed = 1;
  // A run without a test is a failure.
  if (count.passed + count.failed === 0) count.failed = 1;
  return count;
}

function readReport(file: string): Count {
  const failures: string[] = [];
  const count: Count = { passed: 0, failed: 0, skipped: 0 };
  const found = readJson(file);
  if (!report.Check(found)) return { ...count, failed: 1 }; // vitest ended before it wrote its report
  for (const testFile of found.testResults) {
    const file = basename(testFile.name);
    if (testFile.message !== '') failures.push(`${file}: ${firstLine(testFile.message)}`);
    for (const { status, fullName, failureMessages = [] } of testFile.assertionResults) {
      if (status === 'passed') count.passed++;
      else if (status === 'failed') failures.push(`${file}: ${fullName}: ${firstLine(failureMessages[0])}`);
      else count.skipped++;
    }
  }
  return failures.length === 0 ? count : { ...count, failed: failures.length, failures };
}

function firstLine(text = ''): string {
  return text.trim().split('\n', 1)[0] as string;
}

const demoReport = Compile(
  Type.Object({ results: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean() })) }),
);

/** Counts the results of `hm demo --check --json FILE`. */
export function countDemo(file: string, exitCode: number | null): Count {
  const found = readJson(file);
  const results = demoReport.Check(found) ? found.results : [];
  return countParts(
    results.map(({ name, ok }) => (ok ? [] : [name])),
    exitCode,
  );
}

const benchReport = Compile(
  Type.Object({ rows: Type.Record(Type.String(), Type.Object({ wrong: Type.Array(Type.String()) })) }),
);

/** Counts the rows of `npm run bench -- --json FILE`. A row without errors has passed. */
export function countBench(file: string, exitCode: number | null): Count {
  const found = readJson(file);
  const rows = benchReport.Check(found) ? Object.entries(found.rows) : [];
  return countParts(
    rows.map(([row, { wrong }]) => wrong.map((what) => `${row}: ${what}`)),
    exitCode,
  );
}

/**
 * A report without parts is a failure, and so is an exit code that no part explains.
 *
 * @param wrong the errors of each part
 */
function countParts(wrong: readonly string[][], exitCode: number | null): Count {
  const passed = wrong.filter(({ length }) => length === 0).length;
  const failed = wrong.length - passed;
  const isUnexplained = (exitCode !== 0 && failed === 0) || wrong.length === 0;
  const count = { passed, failed: isUnexplained ? failed + 1 : failed, skipped: 0 };
  return failed === 0 ? count : { ...count, failures: wrong.flat() };
}

/** @returns undefined, which satisfies no schema, if the file has no JSON */
function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The last line of `npm test`. */
export function lastLine(counts: readonly Count[]): string {
  const sum = (key: 'passed' | 'failed' | 'skipped') =>
    counts.reduce((total, count) => total + count[key], 0);
  const skipped = sum('skipped');
  return `${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
