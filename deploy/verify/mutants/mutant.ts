import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A small change of safety code that some test must notice. */
export interface Mutant {
  /** Unique; what the changed code does wrong. */
  name: string;
  /** The end of its path, so that a file may move to another room. */
  file: string;
  /** Occurs exactly once in the file. */
  from: string;
  to: string;
  /** Why no test can notice it, if none can. */
  equivalent?: string;
}

/** Mutants of one kind, and the tests that are run with each of them. */
export interface Area {
  name: string;
  /** Paths, as `vitest run` takes them. Their property tests are run only with a mutant that no other test notices. */
  tests: readonly string[];
  /** Slower tests, which are run only with a mutant that no other test notices. */
  more?: readonly string[];
  mutants: readonly Mutant[];
}

/**
 * The file of a mutant, relative to `root`.
 *
 * @param files all source files, relative to `root`
 * @throws Error if not exactly one file ends with the mutant's path, or its text does not occur exactly once in it
 */
export function locate({ name, file, from, to }: Mutant, root: string, files: readonly string[]): string {
  const found = files.filter((path) => `/${path}`.endsWith(`/${file}`));
  const [path] = found;
  if (path === undefined || found.length > 1)
    throw new Error(`mutant "${name}": expected one file that ends with ${file}, found ${found.length}`);
  const count = readFileSync(join(root, path), 'utf8').split(from).length - 1;
  if (count !== 1)
    throw new Error(`mutant "${name}": expected its text once in ${path}, found it ${count} times`);
  if (from === to) throw new Error(`mutant "${name}": changes nothing`);
  return path;
}
