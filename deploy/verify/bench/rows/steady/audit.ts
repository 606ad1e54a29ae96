import { setTimeout as delay } from 'node:timers/promises';
import { type Context, differences, type Figure, type RowResult } from '../../results/row.ts';
import { totalsOf, until } from '../../stage/load-fleet.ts';
import type { Stage } from '../../stage/stage.ts';
import { waitForMatch } from '../../stage/stored-fleet.ts';

/** The default period of an audit, for the full fleet; a smaller fleet has the same rate. */
const DROPLETS_ANALYSIS_S = 20;
/** Within this time the slices that were counted during the start are counted again. */
const COUNTED_WITHIN_S = 120;
/** An `audit_rate` without effect. */
const UNLIMITED = 1_000_000_000;

/** The configuration of an analyzer whose audit has no rate limit. */
export const fastAudit = (scale: number) => ({
  audit_rate: UNLIMITED,
  intervals: { droplets_analysis: DROPLETS_ANALYSIS_S * scale },
});

/** P4: repeated audits of all droplets, and before them ticks that find nothing due. */
export async function audit(stage: Stage, droplets: number, context: Context): Promise<RowResult> {
  const { progress, scale, windowS } = context;
  progress('ticks with nothing due');
  const ticks = await readTicks(stage);
  await delay(windowS * 1000);
  const { count, seconds } = await readTicks(stage);
  await replaceAnalyzer(stage, scale);
  progress('audits of all droplets');
  const counts = await audits(stage, droplets, windowS * 1000);
  const expected = { droplets, apps: droplets, instances: droplets, missing: 0, flapping: 0 };
  const wrong = await waitForMatch(() => totalsOf(stage), expected, COUNTED_WITHIN_S);
  const figures: Figure[] = [
    {
      what: 'droplets audited a CPU s of the analyzer',
      value: counts.droplets / counts.analyzerCpuS,
      unit: '/s',
      min: 200_000,
      ratio: true,
    },
    {
      what: 'a tick with nothing due, all slices',
      value: (1000 * (seconds - ticks.seconds)) / (count - ticks.count),
      unit: 'ms',
      max: 50,
    },
  ];
  await stage.stop('analyzer');
  await stage.start('analyzer');
  return {
    run: `${counts.droplets} audits of ${droplets} droplets`,
    figures,
    wrong: [...wrong, ...differences({ misses: counts.misses }, { misses: 0 })],
  };
}

/** Replaces the analyzer by one whose audit has no rate limit. */
export async function replaceAnalyzer(stage: Stage, scale: number): Promise<void> {
  await stage.stop('analyzer');
  await stage.start('analyzer', fastAudit(scale));
}

async function readTicks(stage: Stage): Promise<{ count: number; seconds: number }> {
  const [count, seconds] = await Promise.all([
    stage.metric('analyzer', 'hm_tick_seconds_count'),
    stage.metric('analyzer', 'hm_tick_seconds_sum'),
  ]);
  return { count, seconds };
}

export interface Audits {
  droplets: number;
  analyzerCpuS: number;
  misses: number;
}

/** Measures the analyzers for `forMs`, and until every droplet was audited once. */
export async function audits(stage: Stage, droplets: number, forMs: number): Promise<Audits> {
  const meter = stage.meter('analyzer');
  const before = await readAudits(stage);
  await delay(forMs);
  await until(
    'every droplet audited once',
    300,
    async () => (await readAudits(stage)).audited - before.audited >= droplets,
  );
  const { total } = meter.read();
  const after = await readAudits(stage);
  return {
    droplets: after.audited - before.audited,
    analyzerCpuS: total,
    misses: after.misses - before.misses,
  };
}

async function readAudits(stage: Stage): Promise<{ audited: number; misses: number }> {
  const [audited, misses] = await Promise.all([
    stage.metric('analyzer', 'hm_audit_reconciles_total'),
    stage.metric('analyzer', 'hm_audit_misses_total'),
  ]);
  return { audited, misses };
}
