import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../../cloud/fleet.ts';
import { type Context, differences, type Figure, type RowResult } from '../../results/row.ts';
import type { Stage } from '../../stage/stage.ts';
import { type Audits, audits, fastAudit, replaceAnalyzer } from './audit.ts';

/** A process with little work takes this long until its code is compiled; until then it takes more CPU. */
const COMPILED_AFTER_MS = 15_000;
const COPIES = [1, 2, 4] as const;
/** What a message or a droplet may cost with several copies, one = 1. */
const MAX_RATIO = 1.1;

/**
 * P10: one, two and four ingestors, then one, two and four analyzers, under the same load. The ingestors are measured beside the
 * usual audit, the analyzers after them. Together they would need more than two cores, and waiting for a core costs CPU, too.
 */
export async function copies(stage: Stage, droplets: number, context: Context): Promise<RowResult> {
  const { progress, scale, windowS } = context;
  const messages: Messages[] = [];
  for (const count of COPIES) {
    progress(`${count} of ingest`);
    await startUntil(stage, 'ingest', count);
    if (count > 1) await delay(Math.max(windowS * 500, COMPILED_AFTER_MS));
    messages.push(await intake(stage, windowS * 1000));
  }
  for (let count = COPIES.at(-1) as number; count > 2; count--) await stage.stop('ingest');
  await replaceAnalyzer(stage, scale);
  const audited: Audits[] = [];
  for (const count of COPIES) {
    progress(`${count} of analyzer`);
    await startUntil(stage, 'analyzer', count, fastAudit(scale));
    await delay(windowS * 500);
    audited.push(await audits(stage, droplets, windowS * 1000));
  }
  const misses = audited.reduce((sum, one) => sum + one.misses, 0);
  return {
    run: `${COPIES.join(', ')} ingestors and analyzers, ${droplets} instances on ${droplets / PER_DEA} DEAs`,
    figures: [
      ...ratiosOf(
        'message',
        messages.map(({ perMessageUs }) => perMessageUs),
      ),
      ...ratiosOf(
        'droplet',
        audited.map((counts) => (1e6 * counts.analyzerCpuS) / counts.droplets),
      ),
      ...COPIES.slice(1).map((count, at) => ({
        what: `least share of one of ${count} ingestors`,
        value: messages[at + 1]?.leastShare ?? Number.NaN,
        unit: '',
      })),
    ],
    wrong: differences({ misses }, { misses: 0 }),
  };
}

/** @param costs of one, two and four copies (us) */
function ratiosOf(what: string, costs: readonly number[]): Figure[] {
  const [one = Number.NaN, two = Number.NaN, four = Number.NaN] = costs;
  const ratio = { unit: '', max: MAX_RATIO, ratio: true } as const;
  return [
    // The guard's kept values have this name.
    {
      what: `CPU a ${what}, one = 1`,
      value: two / one,
      ...ratio,
      ...(what === 'droplet' && { guarded: true }),
    },
    { what: `CPU a ${what} with four, one = 1`, value: four / one, ...ratio },
    { what: `CPU a ${what}, one copy`, value: one, unit: 'us' },
  ];
}

async function startUntil(
  stage: Stage,
  name: 'ingest' | 'analyzer',
  count: number,
  config?: ReturnType<typeof fastAudit>,
): Promise<void> {
  while (runningOf(stage, name).length < count) await stage.start(name, config);
}

function runningOf(stage: Stage, name: string): string[] {
  return [...stage.pids().keys()].filter((key) => key.split(' ')[0] === name);
}

interface Messages {
  /** CPU of all ingestors. */
  perMessageUs: number;
  /** Of the CPU of all ingestors, that of the one with the least. */
  leastShare: number;
}

async function intake(stage: Stage, forMs: number): Promise<Messages> {
  const received = () => stage.metric('ingest', 'hm_heartbeats_received_total');
  const meter = stage.meter('ingest');
  const before = await received();
  await delay(forMs);
  const { of, total } = meter.read();
  return {
    perMessageUs: (1e6 * total) / ((await received()) - before),
    leastShare: Math.min(...of.values()) / total,
  };
}
