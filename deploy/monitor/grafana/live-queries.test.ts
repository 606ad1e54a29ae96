/** The panels' queries, answered by a real Prometheus that scrapes real processes' metrics. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { freePort } from '../../../common/testing/redis/server.ts';
import { registries } from '../../docs/metrics.ts';

const FILE = join(packageRoot, 'deploy', 'monitor', 'grafana', 'dashboards', 'health-manager.json');
const { panels } = JSON.parse(readFileSync(FILE, 'utf8')) as {
  panels: { title: string; targets?: { expr: string }[] }[];
};
const hasPrometheus = spawnSync('prometheus', ['--version']).status === 0;

let dir: string;
let target: Server;
let prometheus: ChildProcess;
let url: string;

beforeAll(async () => {
  if (!hasPrometheus) return;
  dir = mkdtempSync(join(tmpdir(), 'hm-prometheus-'));
  const processes = registries();
  target = createServer(async ({ url: path = '' }, response) => {
    const registry = processes.get(path.slice(1));
    response.setHeader('content-type', registry?.contentType ?? '');
    response.end(await registry?.metrics());
  });
  await once(target.listen(0, '127.0.0.1'), 'listening');
  const { port: targetPort } = target.address() as AddressInfo;
  const jobs = [...processes.keys()].map((name) => ({
    job_name: `health-manager-${name}`,
    metrics_path: `/${name}`,
    static_configs: [{ targets: [`127.0.0.1:${targetPort}`] }],
  }));
  const config = { global: { scrape_interval: '200ms', scrape_timeout: '200ms' }, scrape_configs: jobs };
  // JSON is YAML.
  writeFileSync(join(dir, 'prometheus.yml'), JSON.stringify(config));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  prometheus = spawn(
    'prometheus',
    ['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=127.0.0.1:${port}`],
    { cwd: dir, stdio: 'ignore' },
  );
  const scraped = async () =>
    (await query('count(up == 1)').catch(() => undefined))?.data.result[0]?.value[1];
  await vi.waitFor(async () => expect(await scraped()).toBe(String(processes.size)), 30_000);
}, 60_000);
afterAll(async () => {
  if (!hasPrometheus) return;
  prometheus.kill('SIGTERM');
  await once(prometheus, 'exit');
  target.closeAllConnections();
  target.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Reply {
  status: string;
  error?: string;
  data: { result: { value: [number, string] }[] };
}

async function query(expr: string): Promise<Reply> {
  const reply = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`);
  return (await reply.json()) as Reply;
}

test.skipIf(!hasPrometheus)('Prometheus answers the query of every panel (needs prometheus)', async () => {
  const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
  expect(queries.length).toBeGreaterThan(40);
  for (const { title, expr } of queries) {
    const { status, error } = await query(expr.replaceAll(/\$__(rate_interval|range)/g, '1m'));
    expect({ title, expr, status, error }).toEqual({ title, expr, status: 'success', error: undefined });
  }
});

test.skipIf(!hasPrometheus)(
  'counters that alerts watch have a series before the first event (needs prometheus)',
  async () => {
    for (const series of [
      'hm_nats_errors_total{kind="slow_consumer",process="ingest"}',
      'hm_sync_passes_total{outcome="failed"}',
      'hm_sync_request_failures_total{reason="status"}',
      'hm_sync_entries_rejected_total{reason="state"}',
      'hm_jobs_rejected_total{queue="starts"}',
      'hm_decision_outcomes_total{kind="start",outcome="sent",reason="missing"}',
      'hm_audit_misses_total',
    ]) {
      const { data } = await query(series);
      expect(
        data.result.map(({ value }) => value[1]),
        series,
      ).toEqual(['0']);
    }
  },
);
