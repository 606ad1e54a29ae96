import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { countBench, countDemo, countVitest, lastLine } from './count.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-count-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function report(files: { message?: string; statuses: string[] }[], exitCode: number | null) {
  const file = join(dir, 'report.json');
  const testResults = files.map(({ message = '', statuses }, n) => ({
    message,
    name: `/some/where/file-${n}.test.ts`,
    assertionResults: statuses.map((status, at) => ({
      status,
      fullName: `group test ${at}`,
      failureMessages: status === 'failed' ? ['expected 1\n    at somewhere'] : [],
    })),
  }));
  writeFileSync(file, JSON.stringify({ testResults }));
  return countVitest(file, exitCode);
}

test('tests and failures outside of tests are counted', () => {
  expect(
    report([{ statuses: ['passed', 'passed'] }, { statuses: ['passed', 'skipped', 'todo'] }], 0),
  ).toEqual({
    passed: 3,
    failed: 0,
    skipped: 2,
  });
  expect(report([{ statuses: ['passed', 'failed'] }], 1)).toEqual({
    ...{ passed: 1, failed: 1, skipped: 0 },
    failures: ['file-0.test.ts: group test 1: expected 1'],
  });
  expect(report([{ message: 'left open\nby a test', statuses: ['passed'] }], 1)).toEqual({
    ...{ passed: 1, failed: 1, skipped: 0 },
    failures: ['file-0.test.ts: left open'],
  });
});

test('a failure outside the report counts', () => {
  expect(report([{ statuses: ['passed'] }], 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(report([{ statuses: ['passed'] }], null)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(report([], 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countVitest(join(dir, 'none.json'), 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  writeFileSync(join(dir, 'cut.json'), '{"testResults":[');
  expect(countVitest(join(dir, 'cut.json'), 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("the demo's results are counted", () => {
  const file = join(dir, 'demo.json');
  const count = (oks: boolean[], exitCode: number | null) => {
    writeFileSync(file, JSON.stringify({ ok: false, results: oks.map((ok) => ({ name: 'x', ok })) }));
    return countDemo(file, exitCode);
  };
  expect(count([true, true, false], 1)).toEqual({ passed: 2, failed: 1, skipped: 0, failures: ['x'] });
  expect(count([true], 0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
  expect(count([true], 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(count([], 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countDemo(join(dir, 'none.json'), 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("the benchmark's rows are counted", () => {
  const file = join(dir, 'bench.json');
  const count = (rows: Record<string, { wrong: string[] }>, exitCode: number | null) => {
    writeFileSync(file, JSON.stringify({ scale: 1, rows }));
    return countBench(file, exitCode);
  };
  const [right, wrong] = [{ wrong: [] }, { wrong: ['starts: expected 1, found 2'] }];
  expect(count({ P1: right, P2: wrong }, 1)).toEqual({
    ...{ passed: 1, failed: 1, skipped: 0 },
    failures: ['P2: starts: expected 1, found 2'],
  });
  expect(count({ P1: right, P2: right }, 0)).toEqual({ passed: 2, failed: 0, skipped: 0 });
  expect(count({ P1: right }, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(count({}, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countBench(join(dir, 'none.json'), 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('the last line adds up all counts', () => {
  const counts = [
    { passed: 3, failed: 0, skipped: 0 },
    { passed: 1, failed: 2, skipped: 0 },
  ];
  expect(lastLine(counts)).toBe('4 passed, 2 failed');
  expect(lastLine([...counts, { passed: 0, failed: 0, skipped: 5 }])).toBe('4 passed, 2 failed, 5 skipped');
});
