/**
 * Builds the dashboard for browsers: `reporter/dashboard/` -> `dist/reporter/dashboard/public/`. Part of `npm run build`.
 *
 * The names of its files change with their content, so that browsers keep them for ever; each is there compressed, too.
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
  // Two years old at least, in their long-term versions.
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
const nameOf = (ending: string) => {
  const file = outputFiles.find(({ path }) => path.endsWith(ending));
  if (file === undefined) throw new Error(`the build of the dashboard gave no ${ending} file`);
  return `assets/${basename(file.path)}`;
};
const page = readFileSync(join(SOURCE, 'index.html'), 'utf8')
  .replace('main.css', nameOf('.css'))
  .replace('main.js', nameOf('.js'));
writeFileSync(join(TARGET, 'index.html'), page);
