import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../runtime/package-root.ts';

/** All TypeScript files below some folders, relative to the package's root. */
export function sourceFiles(folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.tsx?$/.test(file) && !file.includes('node_modules'))
      .map((file) => join(folder, file)),
  );
}

/** Tests, and what only tests use. */
export function isTestCode(file: string): boolean {
  return /\.test\.tsx?$|\/testing(\/|\.ts$)|^deploy\/verify\//.test(file);
}
