/** No pattern of the product takes more than linear time on a long text: input of any length must not block a process. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { isTestCode, sourceFiles } from '../../../common/testing/source-files.ts';

/** A regular expression literal: after an operator or an opening bracket, so that it is not a division. */
const LITERAL =
  /(?<=[=(,:;!&|?[{}]\s{0,40})\/((?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+)\/([dgimsuvy]*)/g;

/** Patterns that take longer, each with the bound on its input. */
const BOUNDED: ReadonlyMap<string, string> = new Map([
  [String.raw`\/+$`, 'the URL in the configuration file'],
  [String.raw`^\d{4}|[a-z]{3}.*\d{4}`, 'dates of 64 characters (common/messages/bulk.ts)'],
]);

const UNITS = ['a', '0', ' ', '-', '.', '/', '@', ':', '%', '=', '\t', '\n', '\\', '"', '[', '{'];
const PAIRS = ['a ', '0-', 'a@', ':0', 'a/', '%2', '//', '0.', 'a=', ' \n', 'a.'];
const LENGTH = 100_000;
/** Linear patterns take some milliseconds, quadratic ones more than ten seconds. */
const TIMEOUT_MS = 3_000;

const texts = [...UNITS, ...PAIRS].flatMap((unit) => {
  const long = unit.repeat(LENGTH / unit.length);
  return [long, `${long}!`, `nats://${long}!`, `a ${long}\u0000`];
});

const patterns = new Map<string, { source: string; flags: string; file: string }>();
const files = sourceFiles(['common', 'ingest', 'analyzer', 'nudger', 'reporter', 'deploy/run']);
// JSX has slashes that begin no pattern, and runs in the browser of its reader.
for (const file of files.filter((name) => name.endsWith('.ts') && !isTestCode(name))) {
  for (const [, source = '', flags = ''] of readFileSync(join(packageRoot, file), 'utf8').matchAll(LITERAL)) {
    patterns.set(`${source}/${flags}`, { source, flags, file });
  }
}

test('the patterns of the code are found', () => {
  expect(patterns.size).toBeGreaterThan(40);
});

test.each([...patterns.values()].filter(({ source }) => !BOUNDED.has(source)))(
  '/$source/$flags of $file',
  ({ source, flags }) => {
    const pattern = new RegExp(source, flags);
    const run = () =>
      runInNewContext(
        'for (const text of texts) { pattern.lastIndex = 0; pattern.test(text); }',
        { pattern, texts },
        {
          timeout: TIMEOUT_MS,
        },
      );
    expect(run).not.toThrow();
  },
);

test('every pattern with a bounded input is still in the code', () => {
  const sources = new Set([...patterns.values()].map(({ source }) => source));
  for (const source of BOUNDED.keys()) expect(sources).toContain(source);
});
