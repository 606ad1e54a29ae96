import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { packageVersion } from '../../../common/runtime/package-version.ts';
import { asyncApi } from '../specs/asyncapi.ts';
import { openApi } from '../specs/openapi.ts';
import { renderSite } from './render.ts';
import { SITE_PAGES } from './site-pages.ts';

/** What the reporter serves of the documentation: each file with its content. */
export function siteFiles(): Record<string, string> {
  const pages = Object.entries(SITE_PAGES).map(
    ([name, file]) => [name, readFileSync(join(packageRoot, file), 'utf8')] as const,
  );
  return {
    'docs.html': renderSite(Object.fromEntries(pages), packageVersion()),
    'openapi.json': JSON.stringify(openApi()),
    'asyncapi.json': JSON.stringify(asyncApi()),
  };
}
