/** All pages of the documentation as one HTML page that loads nothing: no script, no picture, no font. */
import { Marked, type Token, type Tokens } from 'marked';
import { idOf, linkTarget, Slugs } from './links.ts';

export interface Rendered {
  title: string;
  html: string;
  /** Headings of the second level: what is found on the page. */
  sections: readonly { id: string; text: string }[];
}

/** One page. @param name in `SITE_PAGES` */
export function renderPage(name: string, markdown: string): Rendered {
  const slugs = new Slugs();
  const sections: { id: string; text: string }[] = [];
  let title: string | undefined;
  /** `<a id="x"></a>` marks a place: the only HTML that the pages use. */
  let isMarkOpen = false;
  const marked = new Marked({
    gfm: true,
    renderer: {
      heading({ tokens, depth }: Tokens.Heading) {
        const text = plainText(tokens);
        const id = idOf(name, slugs.of(text));
        if (depth === 1) title ??= text;
        if (depth === 2) sections.push({ id, text });
        return `<h${depth} id="${escapeHtml(id)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }: Tokens.Link) {
        const text = this.parser.parseInline(tokens);
        const target = linkTarget(name, href);
        if (target === undefined) return text;
        const isForeign = /^https?:/.test(target);
        return `<a href="${escapeHtml(target)}"${isForeign ? ' rel="noreferrer"' : ''}>${text}</a>`;
      },
      // The dashboard that pictures show is one click away.
      image: ({ text }: Tokens.Image) => `<em>${escapeHtml(text)}</em>`,
      html: ({ text }: Tokens.HTML | Tokens.Tag) => {
        const mark = /^<a id="([\w-]+)">$/.exec(text)?.[1];
        if (mark !== undefined) {
          isMarkOpen = true;
          return `<a id="${idOf(name, mark)}">`;
        }
        if (text === '</a>' && isMarkOpen) {
          isMarkOpen = false;
          return text;
        }
        return /^<!--[\s\S]*-->\s*$/.test(text) ? '' : escapeHtml(text);
      },
    },
  });
  const html = marked.parse(markdown, { async: false });
  return { title: title ?? name, html, sections };
}

/** @param pages by their name, in order @param version of the package */
export function renderSite(pages: Readonly<Record<string, string>>, version: string): string {
  const rendered = Object.entries(pages).map(([name, markdown]) => ({ name, ...renderPage(name, markdown) }));
  const nav = rendered.map(({ name, title, sections }) => {
    const items = sections.map(
      ({ id, text }) => `<li><a href="#${escapeHtml(id)}">${escapeHtml(text)}</a></li>`,
    );
    const list = items.length === 0 ? '' : `<ul>${items.join('')}</ul>`;
    return `<details><summary><a href="#${escapeHtml(name)}">${escapeHtml(title)}</a></summary>${list}</details>`;
  });
  const articles = rendered.map(({ name, html }) => `<article id="${escapeHtml(name)}">\n${html}</article>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Health manager ${escapeHtml(version)}: documentation</title>
<style>${STYLE}</style>
</head>
<body>
<nav aria-label="Pages">
<p>Health manager ${escapeHtml(version)}</p>
${nav.join('\n')}
<p><a href="openapi.json">openapi.json</a> <a href="asyncapi.json">asyncapi.json</a></p>
</nav>
<main>
${articles.join('\n')}
</main>
</body>
</html>
`;
}

function plainText(tokens: readonly Token[]): string {
  return tokens
    .map((token) =>
      'tokens' in token && token.tokens ? plainText(token.tokens) : 'text' in token ? token.text : '',
    )
    .join('');
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; display: flex; }
nav { flex: none; width: 17rem; height: 100vh; overflow: auto; position: sticky; top: 0; box-sizing: border-box;
  padding: 1rem; border-right: 1px solid var(--line); font-size: 0.9rem; }
nav ul { margin: 0 0 0.5rem; padding-left: 1.5rem; }
nav a { text-decoration: none; }
main { flex: 1; min-width: 0; max-width: 60rem; padding: 0 2rem 50vh; }
article { border-bottom: 1px solid var(--line); padding-bottom: 2rem; }
table { display: block; overflow-x: auto; border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: 0.25rem 0.5rem; text-align: left; vertical-align: top; }
pre { overflow-x: auto; padding: 0.75rem; background: var(--soft); }
code { font: 0.9em ui-monospace, monospace; background: var(--soft); overflow-wrap: break-word; }
pre code { background: none; }
@media (max-width: 50rem) {
  body { display: block; }
  nav { position: static; width: auto; height: auto; border-right: 0; border-bottom: 1px solid var(--line); }
  main { padding: 0 1rem 50vh; }
}
`;
