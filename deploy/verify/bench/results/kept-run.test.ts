import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROW_GROUPS } from '../rows/all-rows.ts';
import { type Conditions, KEPT_RUN, keep, readKeptRun } from './kept-run.ts';
import type { RowResult } from './row.ts';

const CONDITIONS: Conditions = {
  ...{ date: '2026-01-01', scale: 1, loadBefore: 0.5, cluster: false },
  machine: {
    ...{
      cpu: 'a',
      cores: 2,
      memoryGb: 24,
      system: 'Linux',
      node: 'v20.20.2',
      redis: '7.0.15',
      nats: '2.9.10',
    },
    pingMs: 0.06,
  },
};
const result = (value: number): RowResult => ({
  run: 'something',
  figures: [{ what: 'rate', value, unit: '/s' }],
  wrong: [],
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kept-run-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a measured row replaces its own entry, the others stay, and one on a cluster stands beside it', () => {
  const file = join(folder, 'kept.json');
  copyFileSync(KEPT_RUN, file);
  keep(new Map([['P5', result(1)]]), CONDITIONS, file);
  keep(new Map([['P5', result(123_456.789)]]), { ...CONDITIONS, cluster: true }, file);
  const before = readKeptRun();
  const { P5, 'P5 on a cluster': onCluster, ...others } = readKeptRun(file);
  expect(P5).toMatchObject({ date: '2026-01-01', figures: [{ value: 1 }] });
  expect(onCluster).toMatchObject({ figures: [{ value: 123_500 }] });
  for (const [row, kept] of Object.entries(others)) expect(kept, row).toEqual(before[row]);
});

test('a file in another format is refused', () => {
  const file = join(folder, 'other.json');
  writeFileSync(file, '{"P5":[1]}');
  expect(() => keep(new Map(), CONDITIONS, file)).toThrow(`${file}: expected figures by row`);
  expect(readFileSync(file, 'utf8')).toBe('{"P5":[1]}');
});

test('the kept run has only rows that exist, and none in which something was lost or invented', () => {
  const rows = ROW_GROUPS.flatMap((group) => group.rows);
  for (const [row, kept] of Object.entries(readKeptRun())) {
    expect(rows).toContain(row.replace(' on a cluster', ''));
    expect(kept, row).toMatchObject({ wrong: [] });
  }
});
