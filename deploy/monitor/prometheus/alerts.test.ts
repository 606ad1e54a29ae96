import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { expectKnown } from '../testing/known-metrics.ts';

const read = (path: string) => readFileSync(join(packageRoot, path), 'utf8');

/** The part of Prometheus's rule format that the file uses. Unknown and misspelled keys are rejected. */
const strict = { additionalProperties: false };
const text = Type.String({ minLength: 1 });
const Rule = Type.Object(
  {
    alert: Type.String({ pattern: '^[A-Z][A-Za-z]+$' }),
    expr: text,
    for: Type.Optional(Type.String({ pattern: '^\\d+[sm]$' })),
    labels: Type.Object({ severity: Type.Enum(['critical', 'warning', 'info']) }, strict),
    annotations: Type.Object({ summary: text, action: text, runbook_url: text }, strict),
  },
  strict,
);
const Rules = Type.Object(
  { groups: Type.Array(Type.Object({ name: text, rules: Type.Array(Rule) }, strict)) },
  strict,
);

const value: unknown = parse(read('deploy/monitor/prometheus/alerts.yml'));
const alerts = (value as Static<typeof Rules>).groups.flatMap(({ rules }) => rules);

test('the file fits the rule format, and each alert has an action', () => {
  expect(Compile(Rules).Errors(value)).toEqual([]);
  expect(alerts.length).toBeGreaterThan(20);
});

test('alerts use only existing metrics, labels and processes', () => {
  for (const { alert, expr } of alerts) {
    const metrics = expectKnown(expr, alert);
    if (metrics.length === 0) expect(expr, alert).toMatch(/^up\{/);
  }
});

test('texts of an alert use only labels of its result', () => {
  for (const { alert, expr, annotations } of alerts) {
    const labels = `${annotations.summary} ${annotations.action}`.matchAll(/\$labels\.([a-z]+)/g);
    for (const [, label = ''] of labels) {
      const grouped = [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].map(([, of = '']) => of.split(/,\s*/));
      const aggregated = /\b(?:sum|max|min|count)\b/.test(expr);
      for (const of of grouped) expect(of, `${alert}: ${label}`).toContain(label);
      expect(aggregated && grouped.length === 0, `${alert}: ${label}`).toBe(false);
    }
  }
});

test('alerts and sections of operate.md match one to one', () => {
  const [, ofAlerts = ''] = /\n## Alerts\n([\s\S]*?)\n## /.exec(read('deploy/docs/operate.md')) ?? [];
  const sections = ofAlerts.split(/^### /m).slice(1);
  expect(sections.map((section) => section.split('\n')[0])).toEqual(alerts.map(({ alert }) => alert));
  for (const section of sections) {
    expect([...section.matchAll(/^- \*\*(.+?):\*\* /gm)].map(([, part]) => part)).toEqual([
      'Means',
      'Check',
      'Do',
    ]);
  }
  for (const { alert, annotations } of alerts) {
    expect(annotations.runbook_url).toBe(`{{ $externalLabels.runbooks }}#${alert.toLowerCase()}`);
  }
});

test('Prometheus loads the rules from the mounted path', () => {
  const { rule_files } = parse(read('deploy/monitor/prometheus/prometheus.yml')) as { rule_files: string[] };
  const { services } = parse(read('deploy/install/compose.yml'), { merge: true }) as {
    services: { prometheus: { volumes: string[] } };
  };
  expect(services.prometheus.volumes).toContain('../monitor/prometheus:/etc/prometheus:ro');
  expect(rule_files).toEqual(['/etc/prometheus/alerts.yml']);
});
