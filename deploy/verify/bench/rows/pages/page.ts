import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { hmProgram } from '../../../../run/hm-program.ts';
import { cpuSecondsOf } from '../../measure/usage.ts';
import type { Figure, RowGroup, RowResult } from '../../results/row.ts';
import { type Stage, startStage } from '../../stage/stage.ts';
import { serveFilled } from './filled-redis.ts';

const APPS = 100_000;
const ENTRIES = 20_000;
const VIEWERS = 20;
/** Of the reporter, for all viewers. */
const MAX_CORES = 0.1;
const FIRST_PAINT_MS = 1_000;
/** A page with a list reads it again this often (`reporter/dashboard/pages/use-page.ts`). */
const REFRESH_MS = 3_000;
const WATCH_S = { full: 30, quick: 10 };
/** Until all viewers have their first state. */
const OPENED_MS = 5_000;
/** Debian's package (`deploy/setup.sh --browser`). */
const CHROMIUM = '/usr/bin/chromium';
const PAINTS = 5;
const LS_LIMIT = 50;

/** PAGE: what viewers of the dashboard and `hm ls` cost with 100,000 apps and 10,000 DEAs. */
export const page: RowGroup = {
  rows: ['PAGE'],
  async run({ scale, isQuick, signal, profile, cluster, progress }) {
    const apps = APPS * scale;
    const watchS = isQuick ? WATCH_S.quick : WATCH_S.full;
    const stage = await startStage({ droplets: 0, profile, cluster }, signal);
    try {
      const deas = await serveFilled(stage, { apps, entries: ENTRIES * scale, progress });
      const viewers = new Viewers(stage);
      const figures: Figure[] = [];
      const wrong: string[] = [];
      for (const [what, list] of [
        ['overview', undefined],
        ['apps page', '/api/apps'],
      ] as const) {
        progress(`${VIEWERS} viewers of the ${what}`);
        const value = await viewers.watch(list, watchS);
        figures.push({
          what: `reporter, ${VIEWERS} viewers of the ${what}`,
          value,
          unit: 'cores',
          max: MAX_CORES,
        });
      }
      wrong.push(...viewers.problems());
      progress('a browser opens the overview');
      figures.push(...(await firstPaint(stage)));
      progress('hm ls');
      figures.push(...list(stage, apps, wrong));
      const run = `${apps} apps, ${deas} DEAs, ${VIEWERS} viewers`;
      return new Map<string, RowResult>([['PAGE', { run, figures, wrong }]]);
    } finally {
      await stage.close();
    }
  },
};

/** Browsers, as far as the reporter can tell. */
class Viewers {
  readonly #stage: Stage;
  /** Problem -> how many viewers had it. */
  readonly #problems = new Map<string, number>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /**
   * All viewers open the dashboard, which receives events; on a page with a list, each reads the list every few seconds.
   *
   * @returns the cores of the reporter while it is open
   */
  async watch(list: string | undefined, seconds: number): Promise<number> {
    const close = new AbortController();
    const viewers = Array.from({ length: VIEWERS }, (_, n) => this.#view(list, n, close.signal));
    await delay(OPENED_MS);
    const pid = this.#stage.pids().get('reporter') as number;
    const [before, beganMs] = [cpuSecondsOf(pid), performance.now()];
    await delay(seconds * 1000);
    const cores = (cpuSecondsOf(pid) - before) / ((performance.now() - beganMs) / 1000);
    close.abort();
    await Promise.all(viewers);
    return cores;
  }

  async #view(list: string | undefined, n: number, signal: AbortSignal): Promise<void> {
    const parts = [this.#untilClosed(signal, () => this.#follow(signal))];
    if (list !== undefined) parts.push(this.#untilClosed(signal, () => this.#refresh(list, n, signal)));
    await Promise.all(parts);
  }

  /** A problem is counted, and the viewer tries again like a browser. */
  async #untilClosed(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      try {
        await work();
      } catch (error) {
        if (signal.aborted) return;
        this.#wrong(error instanceof Error ? error.message : String(error));
        await delay(REFRESH_MS);
      }
    }
  }

  problems(): string[] {
    return Array.from(this.#problems, ([problem, count]) => `${count} times: ${problem}`);
  }

  #wrong(problem: string): void {
    this.#problems.set(problem, (this.#problems.get(problem) ?? 0) + 1);
  }

  /** Reads the events and waits for the DEAs in the first state. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { body } = await this.#stage.page('/api/live', signal);
    let hasState = false;
    try {
      for await (const chunk of body as unknown as AsyncIterable<Uint8Array>)
        hasState ||= Buffer.from(chunk).includes('event: deas');
    } finally {
      if (!hasState) this.#wrong('no DEAs were sent');
    }
  }

  async #refresh(list: string, n: number, signal: AbortSignal): Promise<void> {
    await delay((n * REFRESH_MS) / VIEWERS, undefined, { signal });
    while (!signal.aborted) {
      const { apps } = (await (await this.#stage.page(list, signal)).json()) as { apps: unknown[] };
      if (apps.length !== LS_LIMIT) this.#wrong(`${list}: expected ${LS_LIMIT} apps, found ${apps.length}`);
      await delay(REFRESH_MS, undefined, { signal });
    }
  }
}

/** Until a real browser has painted the overview, and until it shows the fleet; nothing without a browser. */
async function firstPaint(stage: Stage): Promise<Figure[]> {
  if (!existsSync(CHROMIUM)) return [];
  const { url, user, password } = stage.reporterAt();
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu'],
  });
  const paints: number[] = [];
  const shown: number[] = [];
  try {
    for (let n = 0; n < PAINTS; n++) {
      const context = await browser.newContext({ httpCredentials: { username: user, password } });
      const tab = await context.newPage();
      const beganMs = performance.now();
      await tab.goto(url);
      await tab.waitForSelector('main[data-connection=live]');
      shown.push(performance.now() - beganMs);
      paints.push(
        await tab.evaluate(
          "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN",
        ),
      );
      await context.close();
    }
  } finally {
    await browser.close();
  }
  return [
    {
      what: 'first paint in a browser, the median',
      value: medianOf(paints),
      unit: 'ms',
      max: FIRST_PAINT_MS,
    },
    { what: 'the fleet is shown in a browser, the median', value: medianOf(shown), unit: 'ms' },
  ];
}

const medianOf = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** `hm ls`, with the start of its process. */
function list(stage: Stage, apps: number, wrong: string[]): Figure[] {
  const [before, beganMs] = [cpuSecondsOf(process.pid), performance.now()];
  const args = [
    hmProgram,
    'ls',
    '--config',
    stage.configFile('reporter'),
    '--limit',
    String(LS_LIMIT),
    '--json',
  ];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const seconds = (performance.now() - beganMs) / 1000;
  const cpuS = cpuSecondsOf(process.pid) - before; // this process has waited for its child
  const lines = child.stdout.trimEnd().split('\n').length;
  if (child.status !== 0 || lines !== LS_LIMIT)
    wrong.push(
      `hm ls: expected ${LS_LIMIT} lines, found ${lines}, exit code ${child.status}: ${child.stderr}`,
    );
  return [
    { what: `hm ls, ${LS_LIMIT} of ${apps} apps`, value: seconds, unit: 's' },
    { what: 'CPU of hm ls', value: cpuS, unit: 's' },
  ];
}
