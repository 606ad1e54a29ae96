import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { AREAS, MUTATED } from './all.ts';
import { locate } from './mutant.ts';

const all = AREAS.flatMap(({ mutants }) => mutants);
const files = MUTATED.flatMap((folder) =>
  readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /(?<!\.test)\.(ts|lua)$/.test(file))
    .map((file) => join(folder, file)),
);

test('the text of each mutant still occurs exactly once in its file', () => {
  const problems = all.flatMap((mutant) => {
    try {
      locate(mutant, packageRoot, files);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  expect(problems).toEqual([]);
});

test('there are at least sixty, each with a name of its own', () => {
  expect(all.length).toBeGreaterThanOrEqual(60);
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
});

test('each has tests that exist', () => {
  const paths = AREAS.flatMap(({ tests, more = [] }) => [...tests, ...more]);
  const tests = ['common', 'ingest', 'analyzer', 'nudger', 'deploy/verify'].flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => join(folder, file)),
  );
  expect(paths.filter((path) => !tests.some((file) => file.startsWith(path)))).toEqual([]);
});
