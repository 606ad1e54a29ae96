/** The findings as a table and as JSON. */
import { type Finding, KINDS } from './findings.ts';
import type { Watched } from './watch.ts';

/** One JSON object. `conforms`: there are no findings. */
export function jsonReport({ findings, ...rest }: Watched): string {
  const explained = findings.map((finding) => ({ ...finding, effect: KINDS[finding.kind].what }));
  return JSON.stringify({ conforms: findings.length === 0, ...rest, findings: explained });
}

type Paint = (tone: 'trouble' | 'good' | 'bold' | 'dim', text: string) => string;

/** The lines for a person. */
export function textReport(watched: Watched, paint: Paint): string[] {
  const { findings, dropped } = watched;
  const lines = [...summary(watched), ''];
  if (findings.length === 0)
    return [...lines, paint('good', 'Nothing was found that does not fit the contract.')];
  lines.push(...table(findings, paint));
  if (dropped > 0) lines.push(`and ${dropped} more that are not listed`);
  const errors = findings.filter(({ level }) => level === 'error').length;
  return [...lines, '', `${amount(errors, 'error')}, ${amount(findings.length - errors, 'warning')}`];
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function summary({ nats, seconds, counts, bulk }: Watched): string[] {
  const { agents, heartbeats, equal, exits, foreign, updates, requests } = counts;
  return [
    `Watched ${nats} for ${seconds} s`,
    `  agents: ${agents}; ${heartbeats} heartbeats, ${equal} of them equal to the one before; ${exits} exits`,
    `  controller: ${updates} updates, ${requests} requests`,
    bulk === undefined
      ? '  bulk API: not read (--cc)'
      : `  bulk API: ${bulk.host}; ${bulk.complete} of ${bulk.passes} passes complete; ${bulk.apps} apps`,
    ...(foreign > 0 ? [`  entries of other partitions, which are ignored: ${foreign}`] : []),
  ];
}

const COLUMNS = ['LEVEL', 'WHO', 'FINDING', 'COUNT', 'DETAIL'] as const;

function table(findings: readonly Finding[], paint: Paint): string[] {
  const rows = findings.map(({ level, side, who, kind, count, detail }) => [
    level,
    `${side} ${who}`,
    kind,
    String(count),
    detail,
  ]);
  const widths = COLUMNS.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, at) => (at === cells.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  ');
  const lines = [paint('bold', line(COLUMNS))];
  findings.forEach(({ level, kind, example }, at) => {
    const text = line(rows[at] ?? []);
    lines.push(level === 'error' ? paint('trouble', text) : text);
    const effect = `         ${KINDS[kind].what}${example === undefined ? '' : `; for example: ${example}`}`;
    lines.push(paint('dim', effect));
  });
  return lines;
}
