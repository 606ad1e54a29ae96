import { readFileSync } from 'node:fs';
import Type from 'typebox';
import { Compile } from 'typebox/compile';

export interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part of vitest's JSON report that is counted. */
const report = Compile(
  Type.Object({
    testResults: Type.Array(
      Type.Object({
        /** Not empty: something failed that is no test, such as a hook, an import or the leak check. */
        message: Type.String(),
        assertionResults: Type.Array(Type.Object({ status: Type.String() })),
      }),
    ),
  }),
);

/**
 * Counts vitest's JSON report.
 *
 * @param exitCode vitest's: a failure that the report does not show (a crash, an unhandled error) still counts
 */
export function countVitest(file: string, exitCode: number | null): Count {
  const count = readReport(file);
  if (exitCode !== 0 && count.failed === 0) count.failed = 1;
  // No test found at all is no success.
  if (count.passed + count.failed === 0) count.failed = 1;
  return count;
}

function readReport(file: string): Count {
  const count = { passed: 0, failed: 0, skipped: 0 };
  const found = readJson(file);
  if (!report.Check(found)) return { ...count, failed: 1 }; // vitest ended before it wrote one
  for (const testFile of found.testResults) {
    if (testFile.message !== '') count.failed++;
    for (const { status } of testFile.assertionResults) {
      if (status === 'passed') count.passed++;
      else if (status === 'failed') count.failed++;
      else count.skipped++;
    }
  }
  return count;
}

const demoReport = Compile(Type.Object({ results: Type.Array(Type.Object({ ok: Type.Boolean() })) }));

/** Counts the results that `hm demo --check --json FILE` wrote. */
export function countDemo(file: string, exitCode: number | null): Count {
  const found = readJson(file);
  return countParts(demoReport.Check(found) ? found.results.map(({ ok }) => ok) : [], exitCode);
}

const benchReport = Compile(
  Type.Object({ rows: Type.Record(Type.String(), Type.Object({ wrong: Type.Array(Type.String()) })) }),
);

/** Counts the rows that `npm run bench -- --json FILE` wrote: passed are those with nothing wrong. */
export function countBench(file: string, exitCode: number | null): Count {
  const found = readJson(file);
  const rows = benchReport.Check(found) ? Object.values(found.rows) : [];
  return countParts(
    rows.map(({ wrong }) => wrong.length === 0),
    exitCode,
  );
}

/** No part at all is no success, nor is a failure that no part tells of. */
function countParts(oks: readonly boolean[], exitCode: number | null): Count {
  const passed = oks.filter((ok) => ok).length;
  const failed = oks.length - passed;
  const silent = (exitCode !== 0 && failed === 0) || oks.length === 0;
  return { passed, failed: silent ? failed + 1 : failed, skipped: 0 };
}

/** Undefined, which fits no schema, where there is no JSON. */
function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The last line of `npm test`. */
export function lastLine(counts: readonly Count[]): string {
  const sum = (key: keyof Count) => counts.reduce((total, count) => total + count[key], 0);
  const skipped = sum('skipped');
  return `${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
