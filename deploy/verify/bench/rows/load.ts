import { setTimeout as delay } from 'node:timers/promises';
import { bringUp, calm, firstAudit, until } from '../load-fleet.ts';
import type { Came, Crashes } from '../protocol.ts';
import { type Context, differences, type Figure, type Measured, type Scene } from '../row.ts';
import { type Stage, setStage } from '../stage.ts';
import { truthBecomes } from '../truth.ts';
import { memoryMbOf } from '../usage.ts';
import { UNLIMITED } from './unlimited.ts';

/** Droplets of the whole fleet, and how many of them each row takes. */
const FLEET = 140_000;
const EXITS = 20_000;
const EXITS_PER_S = 2_000;
/** The instances of 1,000 apps. */
const STORM = 10_000;
const UPDATES = 10_000;
const WAITING = 100_000;
/** Starts of each higher priority that come to wait behind the crashed ones. */
const OF_PRIORITY = 200;
/** All at once: as fast as they can be sent. */
const AT_ONCE_PER_S = 100_000;
/** For many that come to wait: no faster than they can be stored. */
const FILL_PER_S = 2_000;

/** A process that has just begun compiles what it runs; and the CPU time of a few seconds is mostly chance. */
const WARM_S = 10;
/** By then what comes of the last crashes is behind: the next heartbeats of their DEAs, and the looks at them. */
const FILLED_S = 30;
const CPU_WATCHED_S = 10;
/** A quick run does not wait half a minute for what is missing. */
const QUICK_DROPLET_LOST_S = 10;

const PROCESS_MB = 250;
const NEAR_IDLE_CORES = 0.05;
const QUIET_WITHIN_S = 30;
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger'] as const;

/** More happens at once than usual: the limits hold, memory is bounded, and afterwards it is quiet again. */
export const load: Scene = {
  rows: ['UPDATES', 'EXITS', 'CRASHSTORM', 'WAITING'],
  async run(context, wanted) {
    const { scale, signal, profile, progress, heartbeatMs } = context;
    const of = FLEET * scale;
    const config = scale < 1 ? { intervals: { droplet_lost: QUICK_DROPLET_LOST_S } } : {};
    const stage = await setStage({ droplets: of, profile, config }, signal);
    const results = new Map<string, Measured>();
    let from = 0;
    const take = (count: number): Pick<Crashes, 'from' | 'count' | 'of'> => {
      const taken = { from, count, of };
      from += count;
      return taken;
    };
    try {
      progress(`bringing up ${of} droplets`);
      await stage.start('ingest');
      await bringUp(stage, of, { heartbeatMs, sync: true });
      for (const name of ['analyzer', 'nudger'] as const) await stage.start(name);
      await calm(stage);
      await firstAudit(stage, of);
      await stage.cloud.ask('asked', {});
      if (wanted.has('UPDATES')) results.set('UPDATES', await updates(stage, take(UPDATES * scale), context));
      if (wanted.has('EXITS')) results.set('EXITS', await exits(stage, take(EXITS * scale), context));
      if (wanted.has('CRASHSTORM'))
        results.set('CRASHSTORM', await storm(stage, take(STORM * scale), context));
      if (wanted.has('WAITING')) results.set('WAITING', await waiting(stage, take, context));
      progress('comparing');
      const must = { droplets: of, desired: of, whole: of, starting: 0, underWay: 0, unreadable: 0 };
      const wrong = await truthBecomes(stage, must, 60);
      for (const measured of results.values()) measured.wrong.push(...wrong);
      return results;
    } finally {
      await stage.close();
    }
  },
};

type Taken = Pick<Crashes, 'from' | 'count' | 'of'>;

async function updates(stage: Stage, taken: Taken, { progress }: Context): Promise<Measured> {
  progress(`${taken.count} droplets are updated at once`);
  const passes = () => stage.metric('sync', 'hm_sync_passes_total');
  const before = await passes();
  const receivedBefore = await stage.metric('ingest', 'hm_updates_received_total');
  const beganMs = performance.now();
  await stage.cloud.ask('update', { ...taken, perS: AT_ONCE_PER_S });
  const saidS = (performance.now() - beganMs) / 1000;
  const received = () => stage.metric('ingest', 'hm_updates_received_total');
  await until('all updates heard', 60, async () => (await received()) >= receivedBefore + taken.count);
  await until('a pass after them', 60, async () => (await passes()) > before);
  await calm(stage);
  const quietS = (performance.now() - beganMs) / 1000;
  const { starts, stops } = await stage.cloud.ask('asked', {});
  return {
    run: `${taken.count} droplets updated within ${saidS.toFixed(1)} s`,
    figures: [
      { what: 'quiet again after', value: quietS, unit: 's', most: QUIET_WITHIN_S },
      { what: 'passes over the bulk API', value: (await passes()) - before, unit: '' },
      ...memoryOf(stage),
    ],
    wrong: differences({ starts, stops }, { starts: 0, stops: 0 }),
  };
}

async function exits(stage: Stage, taken: Taken, { progress }: Context): Promise<Measured> {
  progress(`${EXITS_PER_S} crashes a second, the nudger without a limit`);
  await stage.stop('nudger');
  await stage.start('nudger', UNLIMITED);
  const beganMs = performance.now();
  const came = await stage.cloud.ask('crash', { ...taken, perS: EXITS_PER_S });
  const behindS = (performance.now() - beganMs) / 1000 - taken.count / EXITS_PER_S;
  const memory = memoryOf(stage);
  await stage.stop('nudger');
  await stage.start('nudger');
  return {
    run: `${taken.count} crashes, ${EXITS_PER_S}/s, the nudger without a limit`,
    figures: [
      { what: 'p50', value: came.latency.p50Ms, unit: 'ms' },
      { what: 'p99', value: came.latency.p99Ms, unit: 'ms' },
      { what: 'all started after the last exit', value: behindS, unit: 's', most: QUIET_WITHIN_S },
      ...memory,
    ],
    wrong: await wrongOf(stage, came, taken.count),
  };
}

async function storm(stage: Stage, taken: Taken, { progress }: Context): Promise<Measured> {
  progress(`${taken.count} instances crash at once`);
  await stage.cloud.ask('exits', { ...taken, perS: AT_ONCE_PER_S, ended: true });
  const came = await stage.cloud.ask('started', {});
  return {
    run: `${taken.count} instances crash at once, at most ${perPeriod(stage)}`,
    figures: [...limitOf(stage, came), ...memoryOf(stage)],
    wrong: await wrongOf(stage, came, taken.count),
  };
}

/** Many starts wait, then some that are more urgent; at last a nudger without a limit sends what is left. */
async function waiting(
  stage: Stage,
  take: (count: number) => Taken,
  { progress, scale, windowS }: Context,
): Promise<Measured> {
  const crashed = take(WAITING * scale);
  const more = Math.max(OF_PRIORITY * scale, 2 * stage.settings.startsPerPeriod);
  const watchS = Math.max(windowS, CPU_WATCHED_S);
  progress(`nothing waits, for ${watchS} s`);
  const idleMeter = stage.meter('redis');
  await delay(watchS * 1000);
  const idle = idleMeter.read();
  progress(`${crashed.count} starts come to wait`);
  await stage.stop('nudger');
  await stage.cloud.ask('exits', { ...crashed, perS: FILL_PER_S, ended: true });
  await until('all wait', 300, async () => (await stage.waitingStarts()) === crashed.count);
  await stage.start('nudger');
  await delay((scale < 1 ? WARM_S : FILLED_S) * 1000);
  progress(`at ${perPeriod(stage)}, for ${watchS} s`);
  const meter = stage.meter('redis', 'nudger', 'analyzer');
  const leftBefore = await stage.waitingStarts();
  await delay(watchS * 1000);
  const { of, seconds } = meter.read();
  const left = await stage.waitingStarts();
  const memory = memoryOf(stage);

  progress(`${more} missing and ${more} evacuated ones come behind them`);
  await stage.stop('nudger');
  const waits = await stage.waitingStarts();
  await stage.cloud.ask('more', { ...take(more), perS: FILL_PER_S, ended: true, reason: 'missing' });
  await until('the missing wait', 180, async () => (await stage.waitingStarts()) === waits + more);
  await stage.cloud.ask('more', { ...take(more), perS: FILL_PER_S, ended: true, reason: 'evacuated' });
  await until('the evacuated wait', 60, async () => (await stage.waitingStarts()) === waits + 2 * more);
  const sent = crashed.count - waits;
  await stage.start('nudger');
  await until('these are sent', 300, async () => (await stage.waitingStarts()) < waits - more);
  await stage.stop('nudger');
  await stage.start('nudger', UNLIMITED);
  const came = await stage.cloud.ask('started', {});
  return {
    run: `${crashed.count} starts waiting, at ${perPeriod(stage)}`,
    figures: [
      { what: 'sent a second', value: (leftBefore - left) / seconds, unit: '/s' },
      ...[...of].map(([name, cpu]) => ({
        what: `CPU of ${name}`,
        value: cpu / seconds,
        unit: 'cores',
        ...(name === 'nudger' && { most: NEAR_IDLE_CORES }),
      })),
      {
        // Heartbeats and the audit go on as before.
        what: 'CPU of redis, more than with nothing waiting',
        value: (of.get('redis') ?? 0) / seconds - idle.total / idle.seconds,
        unit: 'cores',
        most: NEAR_IDLE_CORES,
      },
      ...memory,
    ],
    wrong: [
      ...(await wrongOf(stage, came, crashed.count + 2 * more)),
      ...orderOf(came, sent, more, stage.settings.startsPerPeriod),
    ],
  };
}

/** After `sent` crashed ones the evacuated must come, then the missing, then the rest; those of a batch in any order. */
function orderOf({ runs }: Came, sent: number, more: number, batch: number): string[] {
  const reasons = runs.flatMap(({ reason, count }) => new Array<string>(count).fill(reason)).slice(sent);
  const right = (at: number) => (at < more ? 'evacuated' : at < 2 * more ? 'missing' : 'crashed');
  const odd = reasons.findIndex((reason, at) => reason !== right(at - batch) && reason !== right(at + batch));
  return odd < 0
    ? []
    : [`start ${odd} after the urgent ones came: expected ${right(odd)}, found ${reasons[odd]}`];
}

const perPeriod = ({ settings }: Stage): string =>
  `${settings.startsPerPeriod} starts every ${settings.startsPeriodMs / 1000} s`;

/** Ten periods may see the batch of the one before and of the one after them. */
function limitOf({ settings }: Stage, { mostIn10s, latency, seconds }: Came): Figure[] {
  const inTen = (10_000 / settings.startsPeriodMs + 1) * settings.startsPerPeriod;
  return [
    { what: 'most within 10 s', value: mostIn10s, unit: '', most: inTen },
    { what: 'sent a second', value: latency.count / seconds, unit: '/s' },
    { what: 'all sent after', value: latency.maxMs / 1000, unit: 's' },
  ];
}

function memoryOf(stage: Stage): Figure[] {
  return [...stage.pids()]
    .filter(([name]) => name === 'redis' || PROCESSES.includes(name as never))
    .map(([name, pid]) => ({
      what: `most memory of ${name}`,
      value: memoryMbOf(pid).peakMb,
      unit: 'MB',
      ...(name === 'redis' ? {} : { most: PROCESS_MB }),
    }));
}

async function wrongOf(stage: Stage, { missing, twice, unasked }: Came, count: number): Promise<string[]> {
  const { starts, stops } = await stage.cloud.ask('asked', {});
  return differences(
    { starts, stops, missing, twice, unasked },
    { starts: count, stops: 0, missing: 0, twice: 0, unasked: 0 },
  );
}
