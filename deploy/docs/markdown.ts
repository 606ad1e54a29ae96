/** The little of Markdown that the generated pages are made of. */

export const GENERATED = (from: string) =>
  `<!-- Written by \`npm run docs\` from ${from}: change it there. A test checks that this page is up to date. -->\n`;

/** A table; cells may hold any text. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''].join('\n');
}

/** As in a program's text. */
export function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

/** What stands between angle brackets is shown as it is also outside of code. */
export function plain(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
