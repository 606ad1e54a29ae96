import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { metricsOfAll } from '../../docs/metrics.ts';
import { expectKnown } from '../testing/known-metrics.ts';

interface Panel {
  id: number;
  type: string;
  title: string;
  datasource?: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string; legendFormat: string }[];
}

const FOLDER = join(packageRoot, 'deploy', 'monitor', 'grafana');
const dashboard = JSON.parse(readFileSync(join(FOLDER, 'dashboards', 'health-manager.json'), 'utf8')) as {
  uid: string;
  panels: Panel[];
  templating: { list: { name: string; type: string; current: { value: string } }[] };
};
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const queries = panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));

test('panels use only existing metrics, labels and values', () => {
  for (const { title, expr } of queries) expect(expectKnown(expr, title), title).not.toEqual([]);
});

test('legends use only labels of the query result', () => {
  for (const { title, expr, legendFormat } of queries) {
    const groups = [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].map(([, of = '']) => of.split(/,\s*/));
    for (const [, label = ''] of legendFormat.matchAll(/\{\{([a-z_]+)\}\}/g)) {
      for (const of of groups) expect(of, `${title}: ${legendFormat}`).toContain(label);
      if (groups.length === 0) expect(['process', 'instance'], title).toContain(label);
    }
  }
});

test('panels show every gauge and histogram except those listed here', () => {
  const drawn = queries.flatMap(({ title, expr }) => expectKnown(expr, title));
  const measured = metricsOfAll().filter(({ type }) => String(type) !== 'counter');
  const left = measured.filter(({ name }) => !drawn.includes(name) && !drawn.includes(`${name}_bucket`));
  expect(left.map(({ name }) => name)).toEqual([
    'process_start_time_seconds',
    'hm_sync_droplets_listed',
    'hm_dashboard_viewers',
  ]);
});

test('panels do not overlap, and their ids are unique', () => {
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  const cells = new Set<string>();
  for (const { title, gridPos } of dashboard.panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(cells.has(`${x} ${y}`), title).toBe(false);
        cells.add(`${x} ${y}`);
      }
    }
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
  }
});

test('the dashboard uses the provisioned Prometheus and is the only one in its folder', () => {
  const { datasources } = parse(
    readFileSync(join(FOLDER, 'provisioning', 'datasources', 'prometheus.yml'), 'utf8'),
  ) as { datasources: { uid: string }[] };
  const [variable] = dashboard.templating.list;
  expect(variable).toMatchObject({ name: 'datasource', current: { value: datasources[0]?.uid } });
  for (const { title, datasource } of panels) expect(datasource?.uid, title).toBe(`\${${variable?.name}}`);
  expect(readdirSync(join(FOLDER, 'dashboards'))).toEqual(['health-manager.json']);
});
