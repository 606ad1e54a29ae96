import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of `package.json`, whether this runs as TypeScript or from `dist/`. */
export const packageRoot = findRoot(import.meta.dirname);

function findRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from)
    throw new Error(`package.json: expected in a folder above ${import.meta.dirname}, found none`);
  return findRoot(parent);
}
