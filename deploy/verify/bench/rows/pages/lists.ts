import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf } from '../../measure/usage.ts';
import type { Context, Figure, RowGroup, RowResult } from '../../results/row.ts';
import { type Stage, startStage } from '../../stage/stage.ts';
import { serveFilled } from './filled-redis.ts';

const APPS = 100_000;
/** Entries of the decision log. */
const ENTRIES = 200_000;

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
      const deas = await serveFilled(stage, { apps, entries: ENTRIES * scale, progress });
      const pid = stage.pids().get('reporter') as number;
      const figures: Figure[] = [];
      for (const [what, path] of PAGES) {
        progress(path);
        figures.push({ what, value: await cpuMsOf(stage, pid, path), unit: 'ms', max: PAGE_MS });
      }
      progress('one viewer of the overview');
      figures.push(...(await viewerOf(stage, pid)));
      const run = `${apps} apps, ${deas} DEAs, ${ENTRIES * scale} entries of the log: CPU of the reporter a page`;
      return new Map<string, RowResult>([['LISTS', { run, figures, wrong: [] }]]);
    } finally {
      await stage.close();
    }
  },
};

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
