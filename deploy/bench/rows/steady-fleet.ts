import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../fleet.ts';
import { bringUp, calm, lastPass, until } from '../load-fleet.ts';
import { type Context, differences, type Measured, type Scene } from '../row.ts';
import { type Stage, setStage } from '../stage.ts';
import { readTruth } from '../truth.ts';
import { memoryMbOf } from '../usage.ts';

const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger', 'reporter'] as const;
/** So often the sync begins, in seconds: soon enough that an unchanged pass follows the first one. */
const SYNC_PERIOD_S = 60;
/** Questions a second, and for how long: half of what one reporter is to answer. */
const ASK_PER_S = 500;
const ASK_S = 10;

/** P7, P1, P9, P8: a large fleet that nothing happens in, brought up once and then looked at from all sides. */
export const steadyFleet: Scene = {
  rows: ['P7', 'P1', 'P9', 'P8'],
  async run(context, wanted) {
    const { scale, signal, profile, progress } = context;
    const droplets = 1_000_000 * scale;
    const config = { intervals: { desired_state_update: scale < 1 ? 5 : SYNC_PERIOD_S } };
    const stage = await setStage({ droplets, profile, config }, signal);
    const results = new Map<string, Measured>();
    try {
      const { used_memory: emptyBytes } = await memoryOf(stage);
      progress(`${droplets} instances are heard for the first time`);
      await stage.start('ingest');
      await bringUp(stage, droplets, { sync: false });
      results.set('P7', await syncs(stage, droplets, context));
      for (const name of ['analyzer', 'nudger', 'reporter'] as const) await stage.start(name);
      progress('until every droplet was looked at');
      await calm(stage);
      if (wanted.has('P1')) results.set('P1', await steady(stage, droplets, context));
      if (wanted.has('P9')) results.set('P9', await memory(stage, droplets, emptyBytes));
      if (wanted.has('P8')) results.set('P8', await questions(stage, droplets, context));
      progress('comparing');
      const asked = await stage.cloud.ask('asked', {});
      const wrong = [
        ...differences(asked, { starts: 0, stops: 0 }),
        ...differences(await readTruth(stage), {
          droplets,
          desired: droplets,
          whole: droplets,
          instances: droplets,
          underWay: 0,
          unreadable: 0,
        }),
      ];
      for (const [row, measured] of results) {
        if (wanted.has(row)) measured.wrong.push(...wrong);
        else results.delete(row);
      }
      return results;
    } finally {
      await stage.close();
    }
  },
};

/** P7: the first pass, and one over the same. */
async function syncs(stage: Stage, droplets: number, { progress }: Context): Promise<Measured> {
  progress('the first pass of the sync');
  await stage.start('sync');
  const meter = stage.meter('sync');
  await until('a complete pass', 300, async () => (await lastPass(stage)) !== undefined);
  // Its start is in it only as far as it came after it said that it serves.
  const first = meter.read().total;
  const before = (await lastPass(stage))?.begunMs ?? 0;
  progress('a pass that brings nothing new');
  await until('the next pass', 300, async () => ((await lastPass(stage))?.begunMs ?? 0) > before);
  const unchanged = meter.read().total;
  return {
    run: `bulk sync of ${droplets} droplets`,
    figures: [
      { what: 'first pass, droplets a CPU s of sync', value: droplets / first, unit: '/s', least: 60_000 },
      { what: 'unchanged', value: droplets / unchanged, unit: '/s', least: 200_000 },
      {
        what: 'most memory of sync',
        value: memoryMbOf(stage.pids().get('sync') ?? 0).peakMb,
        unit: 'MB',
        most: 300,
      },
    ],
    wrong: [],
  };
}

/** P1: CPU of everything while every heartbeat says what the last one said. */
async function steady(stage: Stage, droplets: number, { progress, steadyS }: Context): Promise<Measured> {
  progress(`steady for ${steadyS} s`);
  const [equalBefore, changedBefore] = await heartbeats(stage);
  const meter = stage.meter();
  await delay(steadyS * 1000);
  const { of, total, seconds } = meter.read();
  const [equal, changed] = await heartbeats(stage);
  const heard = (equal - equalBefore) * PER_DEA;
  return {
    run: `${droplets} instances on ${droplets / PER_DEA} DEAs, steady for ${steadyS} s`,
    figures: [
      { what: 'CPU of everything, share of a core', value: total / seconds, unit: 'cores', most: 0.2 },
      { what: 'instances heard a CPU s of everything', value: heard / total, unit: '/s', least: 500_000 },
      ...[...of].map(([name, cpu]) => ({ what: `CPU of ${name}`, value: cpu / seconds, unit: 'cores' })),
    ],
    wrong: differences({ changed: changed - changedBefore }, { changed: 0 }),
  };
}

async function heartbeats(stage: Stage): Promise<[equal: number, changed: number]> {
  return Promise.all([
    stage.metric('ingest', 'hm_heartbeats_equal_total'),
    stage.metric('ingest', 'hm_heartbeats_changed_total'),
  ]);
}

/** P9: what it all takes. */
async function memory(stage: Stage, droplets: number, emptyBytes: number): Promise<Measured> {
  const { used_memory: bytes } = await memoryOf(stage);
  const resident = PROCESSES.map((name) => ({
    what: `memory of ${name}`,
    value: memoryMbOf(stage.pids().get(name) ?? 0).nowMb,
    unit: 'MB',
    most: 250,
  }));
  return {
    run: `${droplets} droplets with one instance each`,
    figures: [
      { what: 'Redis, a droplet', value: (bytes - emptyBytes) / droplets, unit: 'bytes', most: 600 },
      ...resident,
    ],
    wrong: [],
  };
}

async function memoryOf({ redis }: Stage): Promise<{ used_memory: number }> {
  const info = await redis.client.info('memory');
  return { used_memory: Number(/used_memory:(\d+)/.exec(info)?.[1]) };
}

/** P8: the health of 100 droplets, over and over. */
async function questions(stage: Stage, droplets: number, { progress }: Context): Promise<Measured> {
  progress(`${ASK_PER_S} questions a second`);
  await stage.cloud.ask('query', { perS: ASK_PER_S / 5, count: ASK_PER_S, of: droplets });
  const meter = stage.meter('reporter');
  const answers = await stage.cloud.ask('query', { perS: ASK_PER_S, count: ASK_PER_S * ASK_S, of: droplets });
  const cpu = meter.read().total;
  return {
    run: `health of 100 droplets, ${ASK_PER_S} questions/s, ${droplets} droplets in Redis`,
    figures: [
      { what: 'questions a CPU s of the reporter', value: answers.complete / cpu, unit: '/s', least: 1_500 },
      { what: 'p50', value: answers.latency.p50Ms, unit: 'ms' },
      { what: 'p99', value: answers.latency.p99Ms, unit: 'ms', most: 15 },
    ],
    wrong: differences(answers, { complete: answers.asked, wrong: 0 }),
  };
}
