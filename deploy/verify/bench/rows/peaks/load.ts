import { setTimeout as delay } from 'node:timers/promises';
import type { EndBatch, StartStats } from '../../cloud/protocol.ts';
import { memoryMbOf } from '../../measure/usage.ts';
import { type Context, differences, type Figure, type RowGroup, type RowResult } from '../../results/row.ts';
import { bringUp, firstAudit, until, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import { type Stage, startStage } from '../../stage/stage.ts';
import { waitForStoredFleet } from '../../stage/stored-fleet.ts';
import { UNLIMITED } from '../unlimited.ts';

/** The droplets of the fleet, and how many of them each row uses. */
const FLEET = 140_000;
const EXITS = 20_000;
const EXITS_PER_S = 2_000;
/** As many instances as 1,000 apps of ten have. */
const STORM = 10_000;
const UPDATES = 10_000;
const WAITING = 100_000;
/** Starts of each higher priority that are enqueued behind the crashed ones. */
const HIGHER_PRIORITY = 200;
/** As fast as they can be sent. */
const AT_ONCE_PER_S = 100_000;
/** For a long queue: not faster than exits can be stored. */
const FILL_PER_S = 2_000;

/** A new process compiles its code first, and the CPU time of a few seconds varies too much. */
const WARM_S = 10;
/** After this time the effects of the last crashes are over: the next heartbeats of their DEAs, and the reconciles. */
const FILLED_S = 30;
const CPU_WATCHED_S = 10;
/** A quick run waits less than half a minute for missing instances. */
const QUICK_DROPLET_LOST_S = 10;

const PROCESS_MB = 250;
const NEAR_IDLE_CORES = 0.05;
const IDLE_WITHIN_S = 30;
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger'] as const;

/** Peaks of load: the limits hold, the memory is bounded, and the system becomes idle again. */
export const load: RowGroup = {
  rows: ['UPDATES', 'EXITS', 'CRASHSTORM', 'WAITING'],
  async run(context, wanted) {
    const { scale, isQuick, signal, profile, progress, heartbeatMs } = context;
    const of = FLEET * scale;
    const config = isQuick ? { intervals: { droplet_lost: QUICK_DROPLET_LOST_S } } : {};
    const stage = await startStage({ droplets: of, profile, config }, signal);
    const results = new Map<string, RowResult>();
    let from = 0;
    const take = (count: number): Pick<EndBatch, 'from' | 'count' | 'of'> => {
      const taken = { from, count, of };
      from += count;
      return taken;
    };
    try {
      progress(`bringing up ${of} droplets`);
      await stage.start('ingest');
      await bringUp(stage, of, { heartbeatMs, sync: true });
      for (const name of ['analyzer', 'nudger'] as const) await stage.start(name);
      await waitUntilNothingDue(stage);
      await firstAudit(stage, of);
      await stage.cloud.call('takeRequestCounts', {});
      if (wanted.has('UPDATES')) results.set('UPDATES', await updates(stage, take(UPDATES * scale), context));
      if (wanted.has('EXITS')) results.set('EXITS', await exits(stage, take(EXITS * scale), context));
      if (wanted.has('CRASHSTORM'))
        results.set('CRASHSTORM', await storm(stage, take(STORM * scale), context));
      if (wanted.has('WAITING')) results.set('WAITING', await waiting(stage, take, context));
      progress('comparing');
      const expected = { droplets: of, desired: of, healthy: of, starting: 0, pending: 0, unreadable: 0 };
      const wrong = await waitForStoredFleet(stage, expected, 60);
      for (const measured of results.values()) measured.wrong.push(...wrong);
      return results;
    } finally {
      await stage.close();
    }
  },
};

type Taken = Pick<EndBatch, 'from' | 'count' | 'of'>;

async function updates(stage: Stage, taken: Taken, { progress }: Context): Promise<RowResult> {
  progress(`${taken.count} droplets are updated at once`);
  const passes = () => stage.metric('sync', 'hm_sync_passes_total');
  const before = await passes();
  const receivedBefore = await stage.metric('ingest', 'hm_updates_received_total');
  const beganMs = performance.now();
  await stage.cloud.call('update', { ...taken, perS: AT_ONCE_PER_S });
  const sentS = (performance.now() - beganMs) / 1000;
  const received = () => stage.metric('ingest', 'hm_updates_received_total');
  await until('all updates received', 60, async () => (await received()) >= receivedBefore + taken.count);
  await until('a pass after them', 60, async () => (await passes()) > before);
  await waitUntilNothingDue(stage);
  const idleS = (performance.now() - beganMs) / 1000;
  const { starts, stops } = await stage.cloud.call('takeRequestCounts', {});
  return {
    run: `${taken.count} droplets updated within ${sentS.toFixed(1)} s`,
    figures: [
      { what: 'idle again after', value: idleS, unit: 's', max: IDLE_WITHIN_S },
      { what: 'passes over the bulk API', value: (await passes()) - before, unit: '' },
      ...memoryOf(stage),
    ],
    wrong: differences({ starts, stops }, { starts: 0, stops: 0 }),
  };
}

async function exits(stage: Stage, taken: Taken, { progress }: Context): Promise<RowResult> {
  progress(`${EXITS_PER_S} crashes a second, the nudger without a limit`);
  await stage.stop('nudger');
  await stage.start('nudger', UNLIMITED);
  const beganMs = performance.now();
  const stats = await stage.cloud.call('endAndAwaitStarts', { ...taken, perS: EXITS_PER_S });
  const lagS = (performance.now() - beganMs) / 1000 - taken.count / EXITS_PER_S;
  const memory = memoryOf(stage);
  await stage.stop('nudger');
  await stage.start('nudger');
  return {
    run: `${taken.count} crashes, ${EXITS_PER_S}/s, the nudger without a limit`,
    figures: [
      { what: 'p50', value: stats.latency.p50Ms, unit: 'ms' },
      { what: 'p99', value: stats.latency.p99Ms, unit: 'ms' },
      { what: 'all started after the last exit', value: lagS, unit: 's', max: IDLE_WITHIN_S },
      ...memory,
    ],
    wrong: await wrongOf(stage, stats, taken.count),
  };
}

async function storm(stage: Stage, taken: Taken, { progress }: Context): Promise<RowResult> {
  progress(`${taken.count} instances crash at once`);
  await stage.cloud.call('end', { ...taken, perS: AT_ONCE_PER_S, unlisted: true });
  const stats = await stage.cloud.call('awaitStarts', {});
  return {
    run: `${taken.count} instances crash at once, at most ${perPeriod(stage)}`,
    figures: [...limitOf(stage, stats), ...memoryOf(stage)],
    wrong: await wrongOf(stage, stats, taken.count),
  };
}

/** Many starts wait, then more urgent ones; at the end a nudger without a limit sends the rest. */
async function waiting(
  stage: Stage,
  take: (count: number) => Taken,
  { progress, scale, isQuick, windowS }: Context,
): Promise<RowResult> {
  const crashed = take(WAITING * scale);
  const more = Math.max(HIGHER_PRIORITY * scale, 2 * stage.settings.startsPerPeriod);
  const watchS = Math.max(windowS, CPU_WATCHED_S);
  progress(`an empty queue, for ${watchS} s`);
  const idleMeter = stage.meter('redis');
  await delay(watchS * 1000);
  const idle = idleMeter.read();
  progress(`enqueuing ${crashed.count} starts`);
  await stage.stop('nudger');
  await stage.cloud.call('end', { ...crashed, perS: FILL_PER_S, unlisted: true });
  await until('all starts enqueued', 300, async () => (await stage.waitingStarts()) === crashed.count);
  await stage.start('nudger');
  await delay((isQuick ? WARM_S : FILLED_S) * 1000);
  progress(`at ${perPeriod(stage)}, for ${watchS} s`);
  const meter = stage.meter('redis', 'nudger', 'analyzer');
  const leftBefore = await stage.waitingStarts();
  await delay(watchS * 1000);
  const { of, seconds } = meter.read();
  const left = await stage.waitingStarts();
  const memory = memoryOf(stage);

  progress(`enqueuing ${more} missing and ${more} evacuated ones behind them`);
  await stage.stop('nudger');
  const queued = await stage.waitingStarts();
  await stage.cloud.call('endMore', { ...take(more), perS: FILL_PER_S, unlisted: true, reason: 'missing' });
  await until('the missing ones enqueued', 180, async () => (await stage.waitingStarts()) === queued + more);
  await stage.cloud.call('endMore', { ...take(more), perS: FILL_PER_S, unlisted: true, reason: 'evacuated' });
  await until(
    'the evacuated ones enqueued',
    60,
    async () => (await stage.waitingStarts()) === queued + 2 * more,
  );
  const sent = crashed.count - queued;
  await stage.start('nudger');
  await until('the urgent ones sent', 300, async () => (await stage.waitingStarts()) < queued - more);
  await stage.stop('nudger');
  await stage.start('nudger', UNLIMITED);
  const stats = await stage.cloud.call('awaitStarts', {});
  return {
    run: `${crashed.count} starts waiting, at ${perPeriod(stage)}`,
    figures: [
      { what: 'sent a second', value: (leftBefore - left) / seconds, unit: '/s' },
      ...[...of].map(([name, cpu]) => ({
        what: `CPU of ${name}`,
        value: cpu / seconds,
        unit: 'cores',
        ...(name === 'nudger' && { max: NEAR_IDLE_CORES }),
      })),
      {
        // The difference, because heartbeats and the audit go on as before.
        what: 'CPU of redis, more than with an empty queue',
        value: (of.get('redis') ?? 0) / seconds - idle.total / idle.seconds,
        unit: 'cores',
        max: NEAR_IDLE_CORES,
      },
      ...memory,
    ],
    wrong: [
      ...(await wrongOf(stage, stats, crashed.count + 2 * more)),
      ...orderOf(stats, sent, more, stage.settings.startsPerPeriod),
    ],
  };
}

/** After `sent` crashed ones the evacuated must follow, then the missing, then the rest; a batch may be in any order. */
function orderOf({ runs }: StartStats, sent: number, more: number, batch: number): string[] {
  const reasons = runs.flatMap(({ reason, count }) => new Array<string>(count).fill(reason)).slice(sent);
  const expectedReason = (at: number) => (at < more ? 'evacuated' : at < 2 * more ? 'missing' : 'crashed');
  const misplaced = reasons.findIndex(
    (reason, at) => reason !== expectedReason(at - batch) && reason !== expectedReason(at + batch),
  );
  return misplaced < 0
    ? []
    : [
        `start ${misplaced} after the urgent ones: expected ${expectedReason(misplaced)}, found ${reasons[misplaced]}`,
      ];
}

const perPeriod = ({ settings }: Stage): string =>
  `${settings.startsPerPeriod} starts every ${settings.startsPeriodMs / 1000} s`;

/** A window of ten seconds may include the batches at both of its ends. */
function limitOf({ settings }: Stage, { mostIn10s, latency, seconds }: StartStats): Figure[] {
  const inTen = (10_000 / settings.startsPeriodMs + 1) * settings.startsPerPeriod;
  return [
    { what: 'most within 10 s', value: mostIn10s, unit: '', max: inTen },
    { what: 'sent a second', value: latency.count / seconds, unit: '/s' },
    { what: 'all sent after', value: latency.maxMs / 1000, unit: 's' },
  ];
}

function memoryOf(stage: Stage): Figure[] {
  return [...stage.pids()]
    .filter(([name]) => name === 'redis' || PROCESSES.includes(name as never))
    .map(([name, pid]) => ({
      what: `peak memory of ${name}`,
      value: memoryMbOf(pid).peakMb,
      unit: 'MB',
      ...(name === 'redis' ? {} : { max: PROCESS_MB }),
    }));
}

async function wrongOf(
  stage: Stage,
  { missing, repeated, unexpected }: StartStats,
  count: number,
): Promise<string[]> {
  const { starts, stops } = await stage.cloud.call('takeRequestCounts', {});
  return differences(
    { starts, stops, missing, repeated, unexpected },
    { starts: count, stops: 0, missing: 0, repeated: 0, unexpected: 0 },
  );
}
