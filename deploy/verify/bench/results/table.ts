import { type Figure, type RowResult, reached } from './row.ts';

/** A number with three significant digits. */
export function readable(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

function target({ min, max, unit }: Figure): string {
  if (min !== undefined) return `at least ${readable(min)} ${unit}`;
  return max === undefined ? '' : `under ${readable(max)} ${unit}`;
}

function verdict(figure: Figure): string {
  if (figure.min === undefined && figure.max === undefined) return '';
  return reached(figure) ? 'reached' : 'MISSED';
}

/** The results as an aligned Markdown table. */
export function tableOf(results: ReadonlyMap<string, RowResult>): string {
  const rows = [['', 'what was run', 'figure', 'measured', 'target', '']];
  for (const [row, { run, figures, wrong }] of results) {
    figures.forEach((figure, at) => {
      const head = at === 0 ? [row, run] : ['', ''];
      rows.push([
        ...head,
        figure.what,
        `${readable(figure.value)} ${figure.unit}`,
        target(figure),
        verdict(figure),
      ]);
    });
    for (const problem of wrong) rows.push([row, '', 'WRONG', problem, '', '']);
  }
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(3, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] as number)).join(' | ')} |`;
  const [header, ...body] = rows as [string[], ...string[][]];
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
