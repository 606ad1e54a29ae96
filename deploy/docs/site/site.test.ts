import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { asyncApi } from '../specs/asyncapi.ts';
import { openApi } from '../specs/openapi.ts';
import { linkTarget } from './links.ts';
import { renderPage, renderSite } from './render.ts';
import { siteFiles } from './site.ts';
import { SITE_PAGES, SITE_SPECS } from './site-pages.ts';

const files = siteFiles();
const html = files['docs.html'] ?? '';
const source = (file: string) => readFileSync(join(packageRoot, file), 'utf8');
const all = (pattern: RegExp) => [...html.matchAll(pattern)].map(([, found = '']) => found);

test('has every page of deploy/docs', () => {
  const names = readdirSync(join(packageRoot, 'deploy', 'docs')).filter((name) => name.endsWith('.md'));
  expect(Object.values(SITE_PAGES)).toEqual(
    expect.arrayContaining(names.map((name) => `deploy/docs/${name}`)),
  );
});

test('has the two specifications as JSON', () => {
  expect(JSON.parse(files['openapi.json'] ?? '')).toEqual(JSON.parse(JSON.stringify(openApi())));
  expect(JSON.parse(files['asyncapi.json'] ?? '')).toEqual(JSON.parse(JSON.stringify(asyncApi())));
});

test('loads nothing: no script, no picture, no font, no style of another place', () => {
  expect(html).not.toMatch(/<(script|img|link|iframe|object|embed|video|audio|svg|base|form)\b/i);
  expect(html).not.toMatch(/<[^>]*\s(src|srcset|style|on[a-z]+)=/i);
  expect(/<style>([\s\S]*?)<\/style>/.exec(html)?.[1]).not.toMatch(/url\(|@import/);
});

test('every link leads to an anchor of the page, to a served file, or away on purpose', () => {
  const ids = all(/\sid="([^"]*)"/g);
  expect(new Set(ids).size).toBe(ids.length);
  const known = new Set([...ids.map((id) => `#${id}`), ...Object.values(SITE_SPECS)]);
  const targets = all(/\shref="([^"]*)"/g);
  expect(targets.length).toBeGreaterThan(100);
  expect(targets.filter((target) => !/^https?:\/\//.test(target) && !known.has(target))).toEqual([]);
});

test('all links between the pages are kept', () => {
  for (const [page, file] of Object.entries(SITE_PAGES)) {
    for (const [, link = ''] of source(file).matchAll(/(?<!!)\[[^\]]*\]\(([^)\s]+)\)/g)) {
      if (!/\.(md|yml)(#|$)/.test(link) || link.includes('install/')) continue;
      expect(linkTarget(page, link), `${file}: ${link}`).toBeDefined();
    }
  }
});

test('every block of code and every table of the pages is shown', () => {
  const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;
  const sources = Object.values(SITE_PAGES).map(source).join('\n');
  expect(count(html, /<pre>/g)).toBe(count(sources, /^\s*```/gm) / 2);
  expect(count(html, /<table>/g)).toBe(count(sources, /^\|(:?-+:?\|)+$/gm));
  expect(html).not.toContain('Written by `npm run docs`');
});

describe('a page', () => {
  const render = (markdown: string) => renderPage('operate', markdown).html.trim();

  test.each([
    ['[a](settings.md)', '<a href="#settings">a</a>'],
    ['[a](settings.md#all-of-them)', '<a href="#settings--all-of-them">a</a>'],
    ['[a](#install)', '<a href="#operate--install">a</a>'],
    ['[a](../../SECURITY.md)', '<a href="#security">a</a>'],
    ['[a](openapi.yml)', '<a href="openapi.json">a</a>'],
    ['[a](../install/compose.yml)', 'a'],
    ['[a](javascript:alert(1))', 'a'],
    [
      '[a](https://example.com/?a=1&b=2)',
      '<a href="https://example.com/?a=1&amp;b=2" rel="noreferrer">a</a>',
    ],
    ['![a "picture"](x.png)', '<em>a &quot;picture&quot;</em>'],
    ['a <b onclick="x()">b</b>', 'a &lt;b onclick=&quot;x()&quot;&gt;b&lt;/b&gt;'],
    ['a `<b>` & c', 'a <code>&lt;b&gt;</code> &amp; c'],
    ['a <!-- note --> b', 'a  b'],
    ['<a id="place"></a> a</a>', '<a id="operate--place"></a> a&lt;/a&gt;'],
  ])('%s', (markdown, expected) => {
    expect(render(markdown)).toBe(`<p>${expected}</p>`);
  });

  test('has ids as code hosts make them, unique on the page', () => {
    const { html, sections, title } = renderPage(
      'operate',
      '# The `hm` page\n\n## A, b: c_d\n\n## A, b: c_d\n\n# Another part\n',
    );
    expect([title, sections.map(({ id }) => id)]).toEqual([
      'The hm page',
      ['operate--a-b-c_d', 'operate--a-b-c_d-1'],
    ]);
    expect(html).toContain('<h1 id="operate--the-hm-page">The <code>hm</code> page</h1>');
  });
});

test('the title is escaped', () => {
  expect(renderSite({ a: '# <b>&' }, '1')).toContain('<a href="#a">&lt;b&gt;&amp;</a>');
});
