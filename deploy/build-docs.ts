/**
 * Builds what the reporter serves of the documentation: `deploy/docs/` -> `dist/reporter/docs/`. Part of `npm run build`.
 * Each file is also written compressed.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { packageRoot } from '../common/runtime/package-root.ts';
import { siteFiles } from './docs/site/site.ts';

const TARGET = join(packageRoot, 'dist', 'reporter', 'docs');

rmSync(TARGET, { recursive: true, force: true });
mkdirSync(TARGET, { recursive: true });
for (const [name, content] of Object.entries(siteFiles())) {
  writeFileSync(join(TARGET, name), content);
  writeFileSync(join(TARGET, `${name}.gz`), gzipSync(content, { level: 9 }));
  writeFileSync(join(TARGET, `${name}.br`), brotliCompressSync(content));
}
