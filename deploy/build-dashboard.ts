/**
 * Builds the dashboard: `reporter/dashboard/` -> `dist/reporter/dashboard/public/`. Part of `npm run build`.
 *
 * File names contain a hash of the content, so that browsers can cache the files for ever. Each file is
 * also written compressed.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { packageRoot } from '../common/runtime/package-root.ts';

const SOURCE = join(packageRoot, 'reporter', 'dashboard');
const TARGET = join(packageRoot, 'dist', 'reporter', 'dashboard', 'public');

const { outputFiles } = await build({
  entryPoints: [join(SOURCE, 'main.tsx')],
  outdir: join(TARGET, 'assets'),
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  write: false,
  format: 'esm',
  // Browsers of the last two years, in their long-term versions.
  target: ['chrome120', 'firefox115', 'safari17'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  tsconfig: join(SOURCE, 'tsconfig.json'),
  legalComments: 'none',
  logLevel: 'warning',
});

rmSync(TARGET, { recursive: true, force: true });
mkdirSync(join(TARGET, 'assets'), { recursive: true });
for (const { path, contents } of outputFiles) {
  writeFileSync(path, contents);
  writeFileSync(`${path}.gz`, gzipSync(contents, { level: 9 }));
  writeFileSync(`${path}.br`, brotliCompressSync(contents));
}
const assetPath = (ending: string) => {
  const file = outputFiles.find(({ path }) => path.endsWith(ending));
  if (file === undefined) throw new Error(`dashboard build: expected a ${ending} file, found none`);
  return `assets/${basename(file.path)}`;
};
const page = readFileSync(join(SOURCE, 'index.html'), 'utf8')
  .replace('main.css', assetPath('.css'))
  .replace('main.js', assetPath('.js'));
writeFileSync(join(TARGET, 'index.html'), page);
