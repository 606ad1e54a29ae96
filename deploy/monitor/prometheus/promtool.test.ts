/** The alert rules, evaluated by Prometheus's own tool. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { ALERT_CASES, type AlertCase } from './alert-cases.ts';

const RULES = join(packageRoot, 'deploy', 'monitor', 'prometheus', 'alerts.yml');
const { groups } = parse(readFileSync(RULES, 'utf8')) as { groups: { rules: { alert: string }[] }[] };
const names = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

const dir = mkdtempSync(join(tmpdir(), 'hm-promtool-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function promtool(cases: readonly (AlertCase & { alert: string; fires: boolean })[]) {
  const tests = cases.map(({ alert, fires, series, at }) => ({
    name: `${alert} ${fires ? 'fires' : 'does not fire'}`,
    interval: '15s',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert}",alertstate="firing"})`,
        eval_time: at,
        exp_samples: fires ? [{ labels: '{}', value: 1 }] : [],
      },
    ],
  }));
  const file = join(dir, 'tests.yml');
  writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: '15s', tests }));
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

test('every alert has a case in which it fires and one in which it does not', () => {
  expect(Object.keys(ALERT_CASES)).toEqual(names);
});

test.skipIf(!hasPromtool)('every alert fires when it should, and not otherwise (needs promtool)', () => {
  const cases = Object.entries(ALERT_CASES).flatMap(([alert, { fires, quiet }]) => [
    { alert, fires: true, ...fires },
    { alert, fires: false, ...quiet },
  ]);
  expect(promtool(cases)).toEqual({ status: 0, output: expect.stringContaining('SUCCESS') });
  // It would report a wrong expectation.
  const [first] = cases;
  if (first !== undefined) expect(promtool([{ ...first, fires: false }]).status).toBe(1);
});

test.skipIf(!hasPromtool)('promtool accepts the rules and the scrapes (needs promtool)', () => {
  // Debian's build of promtool does not know kubernetes_sd_configs.
  for (const name of ['prometheus.yml', 'systemd.example.yml']) {
    const config = join(packageRoot, 'deploy', 'monitor', 'prometheus', name);
    const args = ['check', 'config', '--syntax-only', config];
    const { status, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
    expect({ name, status, stderr }).toEqual({ name, status: 0, stderr: '' });
  }
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', RULES], { encoding: 'utf8' });
  expect(`${status} ${stdout}${stderr}`).toMatch(/^0 [\s\S]*SUCCESS/);
});
