import { setTimeout as delay } from 'node:timers/promises';
import type { LogEntry } from '../../../../../common/model/decision-log.ts';
import { desired, droplet, instance } from '../../../../../common/testing/builders.ts';
import { store } from '../../../fixtures/reporter.ts';
import { cpuSecondsOf } from '../../measure/usage.ts';
import type { Context, Figure, RowGroup, RowResult } from '../../results/row.ts';
import { type Stage, startStage } from '../../stage/stage.ts';

const APPS = 100_000;
const APPS_A_DEA = 10;
/** One app in this many lacks its instance. */
const MISSING_EVERY = 20;
/** Entries of the decision log; one in this many is of the rare kind. */
const ENTRIES = 200_000;
const RARE_EVERY = 50_000;
const BATCH = 500;
const VERSION = 'v';

/** The code is compiled during the first requests. */
const WARM_UP = 10;
const REQUESTS = 40;
/** Longest that a page may take of the reporter's CPU (ms). */
const PAGE_MS = 200;
const VIEWER_S = 20;

const PAGES: readonly [what: string, path: string][] = [
  ['apps', '/api/apps'],
  ['apps, a later page', '/api/apps?cursor=0:app-05'],
  ['apps with a part of a guid', '/api/apps?search=77'],
  ['apps that need attention', '/api/apps?problem=any&sort=worst'],
  ['apps with a rare problem', '/api/apps?problem=given-up&sort=worst'],
  ['decisions', '/api/decisions'],
  ['decisions of a rare kind', '/api/decisions?kind=giveup'],
  ['the figures', '/api/fleet'],
];

/** The lists of the dashboard over 100,000 apps and 10,000 DEAs. */
export const lists: RowGroup = {
  rows: ['LISTS'],
  async run({ scale, signal, profile, cluster, progress }: Context) {
    const apps = APPS * scale;
    const stage = await startStage({ droplets: 0, profile, cluster }, signal);
    try {
      progress(`storing ${apps} apps on ${apps / APPS_A_DEA} DEAs`);
      await fill(stage, apps);
      await fillLog(stage, ENTRIES * scale, apps);
      await stage.start('reporter');
      const pid = stage.pids().get('reporter') as number;
      const figures: Figure[] = [];
      for (const [what, path] of PAGES) {
        progress(path);
        figures.push({ what, value: await cpuMsOf(stage, pid, path), unit: 'ms', max: PAGE_MS });
      }
      progress('one viewer of the overview');
      figures.push(...(await viewerOf(stage, pid)));
      const run = `${apps} apps, ${apps / APPS_A_DEA} DEAs, ${ENTRIES * scale} entries of the log: CPU of the reporter a page`;
      return new Map<string, RowResult>([['LISTS', { run, figures, wrong: [] }]]);
    } finally {
      await stage.close();
    }
  },
};

async function fill({ redis }: Stage, apps: number): Promise<void> {
  const { client, keys } = redis;
  const [seconds] = await client.time();
  // Heartbeats of the future: no DEA is lost while the pages are measured.
  const nowMs = (Number(seconds) + 3_600) * 1000;
  for (let from = 0; from < apps; from += BATCH) {
    await Promise.all(
      Array.from({ length: Math.min(BATCH, apps - from) }, async (_, at) => {
        const n = from + at;
        const id = `app-${String(n).padStart(6, '0')}`;
        const dea = `dea-${String(Math.floor(n / APPS_A_DEA)).padStart(5, '0')}`;
        const isMissing = n % MISSING_EVERY === 0;
        const record = droplet({
          ...{ id, desired: desired({ version: VERSION }), firstSeenMs: Number(seconds) * 1000 - 600_000 },
          instances: isMissing ? [] : [instance(`i-${n}`, { dea, version: VERSION })],
        });
        await Promise.all([
          store(redis, record),
          client.hset(keys.indexOf(id), id, ''),
          client.hincrby(keys.deasCount, dea, 1),
          client.zadd(keys.deasLastHeartbeat, nowMs, dea),
          ...(isMissing ? [client.zadd(keys.troubled(keys.sliceOf(id)), 1_000_001, id)] : []),
        ]);
      }),
    );
  }
}

async function fillLog({ redis }: Stage, entries: number, apps: number): Promise<void> {
  const { client, keys } = redis;
  const [seconds] = await client.time();
  const nowMs = Number(seconds) * 1000;
  for (let from = 0; from < entries; from += BATCH) {
    await Promise.all(
      Array.from({ length: Math.min(BATCH, entries - from) }, (_, at) => {
        const n = from + at;
        const id = `app-${String((n * 7919) % apps).padStart(6, '0')}`;
        const atMs = nowMs - (entries - n) * 10;
        const kind = n % RARE_EVERY === 0 ? 'giveup' : 'start';
        const entry: LogEntry = {
          ...{ atMs, droplet: id, kind, id: `s-${n}`, reason: 'missing', index: 0, version: VERSION },
          dea: 'dea-00001',
        };
        return client.xadd(
          keys.decisions(keys.sliceOf(id)),
          `${atMs}-${n % 100}`,
          'entry',
          JSON.stringify(entry),
        );
      }),
    );
  }
}

/** CPU of the process for one request (ms). */
async function cpuMsOf(stage: Stage, pid: number, path: string): Promise<number> {
  const ask = async (times: number) => {
    for (let n = 0; n < times; n++) await (await stage.page(path)).text();
  };
  await ask(WARM_UP);
  const before = cpuSecondsOf(pid);
  await ask(REQUESTS);
  return ((cpuSecondsOf(pid) - before) / REQUESTS) * 1000;
}

/** What an open overview costs: its first state with all DEAs, and each second after it. */
async function viewerOf(stage: Stage, pid: number): Promise<Figure[]> {
  const open = new AbortController();
  const before = cpuSecondsOf(pid);
  const reply = await stage.page('/api/live', open.signal);
  const reading = reply.text().catch(() => ''); // it is aborted below
  await delay(3_000);
  const first = cpuSecondsOf(pid);
  await delay(VIEWER_S * 1000);
  const later = cpuSecondsOf(pid);
  open.abort();
  await reading;
  return [
    { what: 'the overview opens, with three polls', value: (first - before) * 1000, unit: 'ms' },
    {
      what: 'the open overview, a second',
      value: ((later - first) / VIEWER_S) * 1000,
      unit: 'ms',
      max: PAGE_MS,
    },
  ];
}
