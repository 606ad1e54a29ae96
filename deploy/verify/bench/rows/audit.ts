import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../fleet.ts';
import { totalsOf, until } from '../load-fleet.ts';
import { type Context, differences, type Figure, type Measured } from '../row.ts';
import type { Stage } from '../stage.ts';
import { becomes } from '../truth.ts';

/** All droplets of the full fleet are audited within its default, those of a smaller one as many a second. */
const DROPLETS_ANALYSIS_S = 20;
/** Slices that were counted while the fleet came up are counted anew within this. */
const COUNTED_WITHIN_S = 120;
/** `audit_rate` that limits nothing. */
const UNLIMITED = 1_000_000_000;
/** The code of a process that has little to do is compiled for so long: it takes more CPU until then. */
const COMPILED_AFTER_MS = 15_000;

const fastAudit = (scale: number) => ({
  audit_rate: UNLIMITED,
  intervals: { droplets_analysis: DROPLETS_ANALYSIS_S * scale },
});

/** P4: the audit of all droplets, again and again; and before it a scan that finds nothing due. */
export async function audit(stage: Stage, droplets: number, context: Context): Promise<Measured> {
  const { progress, scale, windowS } = context;
  progress('scans with nothing due');
  const ticks = await ticksSo(stage);
  await delay(windowS * 1000);
  const { count, seconds } = await ticksSo(stage);
  await replaceAnalyzer(stage, scale);
  progress('audits of everything');
  const counts = await audits(stage, droplets, windowS * 1000);
  const whole = { droplets, apps: droplets, instances: droplets, missing: 0, flapping: 0 };
  const wrong = await becomes(() => totalsOf(stage), whole, COUNTED_WITHIN_S);
  const figures: Figure[] = [
    {
      what: 'droplets audited a CPU s of the analyzer',
      value: counts.droplets / counts.analyzerCpuS,
      unit: '/s',
      least: 200_000,
      ratio: true,
    },
    {
      what: 'a scan with nothing due, all slices',
      value: (1000 * (seconds - ticks.seconds)) / (count - ticks.count),
      unit: 'ms',
      most: 50,
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

/**
 * P10: two ingestors and two analyzers, under the same load as one of each. First the ingestors beside the usual audit, then
 * the analyzers: all at once would be more than two cores can do, and who waits for a core is dearer, too.
 */
export async function twoCopies(stage: Stage, droplets: number, context: Context): Promise<Measured> {
  const { progress, scale, windowS } = context;
  progress('one ingestor');
  const [oneIngestor] = await intake(stage, windowS * 1000);
  await stage.start('ingest');
  progress('two ingestors');
  await delay(Math.max(windowS * 500, COMPILED_AFTER_MS));
  const [twoIngestors, share] = await intake(stage, windowS * 1000);
  await replaceAnalyzer(stage, scale);
  progress('one analyzer');
  await delay(windowS * 500);
  const one = await audits(stage, droplets, windowS * 1000);
  await stage.start('analyzer', fastAudit(scale));
  progress('two analyzers');
  await delay(windowS * 500);
  const two = await audits(stage, droplets, windowS * 1000);
  const perDroplet = (counts: Audits) => (1e6 * counts.analyzerCpuS) / counts.droplets;
  return {
    run: `one and two ingestors and analyzers, ${droplets} instances on ${droplets / PER_DEA} DEAs`,
    figures: [
      {
        what: 'CPU a message, one = 1',
        value: twoIngestors / oneIngestor,
        unit: '',
        most: 1.1,
        ratio: true,
      },
      {
        what: 'CPU a droplet, one = 1',
        value: perDroplet(two) / perDroplet(one),
        unit: '',
        most: 1.1,
        ratio: true,
      },
      { what: 'CPU a message, two ingestors', value: twoIngestors, unit: 'us' },
      { what: 'CPU a droplet audited, two analyzers', value: perDroplet(two), unit: 'us' },
      { what: 'share of the second ingestor', value: share, unit: '' },
    ],
    wrong: differences({ misses: one.misses + two.misses }, { misses: 0 }),
  };
}

/** One that audits as fast as it can. */
async function replaceAnalyzer(stage: Stage, scale: number): Promise<void> {
  await stage.stop('analyzer');
  await stage.start('analyzer', fastAudit(scale));
}

async function ticksSo(stage: Stage): Promise<{ count: number; seconds: number }> {
  const [count, seconds] = await Promise.all([
    stage.metric('analyzer', 'hm_tick_seconds_count'),
    stage.metric('analyzer', 'hm_tick_seconds_sum'),
  ]);
  return { count, seconds };
}

/** @returns CPU of the ingestors a message (us), and the second one's share of it */
async function intake(stage: Stage, forMs: number): Promise<[perMessageUs: number, secondShare: number]> {
  const messages = () => stage.metric('ingest', 'hm_heartbeats_received_total');
  const meter = stage.meter(...named(stage, 'ingest'));
  const before = await messages();
  await delay(forMs);
  const { of, total } = meter.read();
  return [(1e6 * total) / ((await messages()) - before), (of.get('ingest 2') ?? 0) / total];
}

interface Audits {
  droplets: number;
  analyzerCpuS: number;
  misses: number;
}

/** Watches the analyzers for so long, and until every droplet was audited once. */
async function audits(stage: Stage, droplets: number, forMs: number): Promise<Audits> {
  const meter = stage.meter(...named(stage, 'analyzer'));
  const before = await auditedSo(stage);
  await delay(forMs);
  await until(
    'all audited once',
    300,
    async () => (await auditedSo(stage)).audited - before.audited >= droplets,
  );
  const { total } = meter.read();
  const after = await auditedSo(stage);
  return {
    droplets: after.audited - before.audited,
    analyzerCpuS: total,
    misses: after.misses - before.misses,
  };
}

async function auditedSo(stage: Stage): Promise<{ audited: number; misses: number }> {
  const [audited, misses] = await Promise.all([
    stage.metric('analyzer', 'hm_audit_reconciles_total'),
    stage.metric('analyzer', 'hm_audit_misses_total'),
  ]);
  return { audited, misses };
}

/** All copies of a process. */
function named(stage: Stage, process: string): string[] {
  return [...stage.pids().keys()].filter((name) => name.startsWith(process));
}
