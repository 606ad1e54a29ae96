import { type Figure, type Measured, reached } from './row.ts';

/** A number as a person reads it: three digits that count. */
export function readable(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

function target({ least, most, unit }: Figure): string {
  if (least !== undefined) return `at least ${readable(least)} ${unit}`;
  return most === undefined ? '' : `under ${readable(most)} ${unit}`;
}

function verdict(figure: Figure): string {
  if (figure.least === undefined && figure.most === undefined) return '';
  return reached(figure) ? 'reached' : 'MISSED';
}

/** The results as a Markdown table, which is also readable as it is. */
export function tableOf(results: ReadonlyMap<string, Measured>): string {
  const rows = [['', 'what was run', 'figure', 'measured', 'to reach', '']];
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
