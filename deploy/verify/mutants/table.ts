import { basename } from 'node:path';

/** What became of a mutant. */
export interface Result {
  area: string;
  name: string;
  /** Relative to the package's root. */
  file: string;
  outcome: 'killed' | 'survived';
  /** The test files that notice it. */
  by: readonly string[];
  equivalent?: string;
}

/** Test files named in one row; the others are counted. */
const NAMED = 3;

/** The results as a Markdown table, area by area. */
export function table(results: readonly Result[]): string {
  const rows: string[] = [];
  for (const area of new Set(results.map((result) => result.area))) {
    rows.push(
      `\n### ${area[0]?.toUpperCase()}${area.slice(1)}\n`,
      '| mutant | file | noticed by |',
      '|---|---|---|',
    );
    for (const result of results.filter((one) => one.area === area))
      rows.push(`| ${result.name} | ${basename(result.file)} | ${noticedBy(result)} |`);
  }
  return rows.join('\n').trim();
}

export function summary(results: readonly Result[]): string {
  const killed = results.filter(({ outcome }) => outcome === 'killed').length;
  const equivalent = results.filter(({ outcome, equivalent }) => outcome !== 'killed' && equivalent).length;
  return (
    `${results.length} mutants: ${killed} noticed, ${equivalent} equivalent, ` +
    `${results.length - killed - equivalent} survived`
  );
}

function noticedBy({ outcome, by, equivalent }: Result): string {
  if (outcome === 'survived') return equivalent === undefined ? '**survived**' : `equivalent: ${equivalent}`;
  const names = by.map((file) => basename(file).replace(/\.test\.ts$/, ''));
  const others = names.length - NAMED;
  return names.slice(0, NAMED).join(', ') + (others > 0 ? ` and ${others} more` : '');
}
