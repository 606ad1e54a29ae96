/** `npm run docs`: writes the pages that are made from the code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOCS, PAGES } from './pages.ts';

for (const [name, page] of Object.entries(PAGES)) {
  writeFileSync(join(DOCS, name), page());
  console.log(join('deploy', 'docs', name));
}
