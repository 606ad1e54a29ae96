/** Where the links of the documentation lead in the one page. */
import { posix } from 'node:path';
import { SITE_PAGES, SITE_SPECS } from './site-pages.ts';

const PAGE_OF_FILE = new Map(Object.entries(SITE_PAGES).map(([page, file]) => [file, page]));

/**
 * The target of a link.
 *
 * @param page the page that has the link
 * @returns undefined: what it names is not served, so that only its text is shown
 */
export function linkTarget(page: string, href: string): string | undefined {
  if (/^https?:\/\//.test(href)) return href;
  const [path = '', fragment = ''] = href.split('#');
  if (path === '') return anchor(page, fragment);
  const file = posix.normalize(posix.join(posix.dirname(SITE_PAGES[page] ?? ''), path));
  const other = PAGE_OF_FILE.get(file);
  return other === undefined ? SITE_SPECS[file] : anchor(other, fragment);
}

/** The id of a page, or of a heading in it. @param slug empty: the page */
export function idOf(page: string, slug: string): string {
  return slug === '' ? page : `${page}--${slug}`;
}

function anchor(page: string, slug: string): string {
  return `#${idOf(page, slug)}`;
}

/** Makes the slugs of one page's headings, as code hosts do. */
export class Slugs {
  readonly #counts = new Map<string, number>();

  of(heading: string): string {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-');
    const count = this.#counts.get(slug) ?? 0;
    this.#counts.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  }
}
