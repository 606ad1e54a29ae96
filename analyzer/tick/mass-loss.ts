import { NO_GAPS } from '../../common/policy/fleet/listening-time.ts';
import {
  cutoffs,
  type DeaFacts,
  extendEvaluated,
  isCountedIfLate,
  isEnough,
  type MassLoss,
  type MassLossCutoffs,
  nextMassLoss,
  releaseMassLoss,
} from '../../common/policy/fleet/mass-loss.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { decodeLiveness } from '../../common/redis/fleet/dea-liveness.ts';
import { gapsFrom, isUnreadable, RELEASE_FIELD, readMassLoss } from '../../common/redis/fleet/holds/holds.ts';
import { pairsOf } from '../../common/redis/records/pairs.ts';
import { readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import { swapHold } from '../../common/redis/scripts/fleet/swap-hold.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import type { AnalyzerMetrics } from '../metrics.ts';
import { holdsWantedSlot } from './wanted-slots.ts';

interface Options {
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
  log: Logger;
  metrics: Pick<AnalyzerMetrics, 'holdUnreadable'>;
}

/**
 * Raises and ends the hold `mass_loss` (policy: holds), and stores when it was evaluated. Starts for a DEA that was lost
 * while no tick evaluated the hold wait for the next evaluation (`mayBeMassLoss`).
 *
 * Every tick calls this. While few DEAs are late it only counts them.
 */
export async function evaluateMassLoss(options: Options): Promise<void> {
  const { redis, clock, policy, log, metrics } = options;
  const { client, keys } = redis;
  const nowMs = clock.nowMs();
  const [facts, released, lateWithoutGaps] = await Promise.all([
    readFleetFacts(redis),
    client.hget(keys.holds, RELEASE_FIELD.mass_loss),
    countLate(redis, cutoffs(nowMs, NO_GAPS, policy)),
  ]);
  const gaps = gapsFrom(facts, nowMs, policy);
  const times = cutoffs(nowMs, gaps, policy);
  const late = gaps.length === 0 ? lateWithoutGaps : await countLate(redis, times);
  const previous = readMassLoss(facts);
  const isOn = previous.sinceMs !== undefined;
  const unreadable = isUnreadable('mass_loss', facts);
  if (unreadable) {
    metrics.holdUnreadable.inc();
    log.warn(
      { event: 'unreadable_hold', hold: 'mass_loss' },
      'hold state unreadable: evaluating the hold from scratch',
    );
  }
  const before = facts.massLoss ?? '';
  let encoded = before;
  let next = previous;
  if (isOn || unreadable || released !== null || late >= policy.massLoss.minimumDeas) {
    const evaluate = async () => {
      const deas = await deaFacts(options, previous, times);
      return nextMassLoss(previous, deas, nowMs, gaps, policy);
    };
    next = released === null ? await evaluate() : releaseMassLoss(previous, nowMs, gaps, policy);
    encoded = JSON.stringify(next);
  }
  const evaluated = extendEvaluated(facts.massLossEvaluated, nowMs, policy);
  const result = await swapHold(redis, {
    hold: 'mass_loss',
    expected: before,
    next: encoded,
    releasedBy: released === null ? undefined : RELEASE_FIELD.mass_loss,
    evaluated,
  });
  if (result === 'swapped') logChange(log, previous, next);
}

function logChange(log: Logger, previous: MassLoss, next: MassLoss): void {
  if (previous.sinceMs === undefined && next.sinceMs !== undefined) {
    log.warn(
      { event: 'hold_on', hold: 'mass_loss', deas: next.lateDeas.length },
      'hold mass_loss on: a network failure is more likely than this many dead DEAs; run `hm release mass_loss` if they are dead',
    );
  } else if (previous.sinceMs !== undefined && next.sinceMs === undefined) {
    log.info({ event: 'hold_off', hold: 'mass_loss' }, 'hold mass_loss off');
  }
}

/** An upper bound of the DEAs that have become late and are counted. */
async function countLate(
  { client, keys }: RedisConnections,
  { lateBeforeMs, countedFromMs }: MassLossCutoffs,
): Promise<number> {
  return client.zcount(keys.deasLastHeartbeat, countedFromMs, `(${lateBeforeMs}`);
}

/**
 * Reads all DEAs. Of late DEAs that are counted, what should still run is read from the records: instances may have exited since
 * their last heartbeat, and what they listed may not be wanted. Of the others the count that ingest stored with the list is used.
 *
 * Counted are DEAs that hold a wanted slot (`holdsWantedSlot`), so DEAs that are made up neither raise the hold nor keep it off.
 */
async function deaFacts(
  { redis, policy }: Options,
  previous: MassLoss,
  times: MassLossCutoffs,
): Promise<DeaFacts[]> {
  const { client, keys } = redis;
  const [lastHeartbeats, counts, shutdown] = await Promise.all([
    client.zrange(keys.deasLastHeartbeat, '0', '-1', 'WITHSCORES'),
    client.call('HGETALL', keys.deasWanted) as Promise<string[]>,
    client.hkeys(keys.deasShutdown),
  ]);
  const countOf = new Map(pairsOf(counts));
  const hasShutDown = new Set(shutdown);
  const facts = pairsOf(lastHeartbeats).map(
    ([guid, lastHeartbeat]): DeaFacts => ({
      guid,
      ...decodeLiveness(lastHeartbeat),
      // A count is stored with each list, also of 0. One that Redis has lost may have been of a DEA that runs something.
      runsSomething: Number(countOf.get(guid) ?? 1) > 0,
      shutdown: hasShutDown.has(guid),
    }),
  );
  // Those that were late stay counted until their next heartbeat, whatever they run.
  const wereLate = new Set(previous.lateDeas);
  const late = facts.filter((dea) => isCountedIfLate(dea, previous, times) && !wereLate.has(dea.guid));
  const empty = late.filter(({ runsSomething }) => !runsSomething).slice(0, EMPTY_DEAS_READ);
  const lastHeartbeatOf = new Map(facts.map((dea) => [dea.guid, dea.lastHeartbeatMs]));
  const read = async (dea: DeaFacts) => {
    dea.runsSomething = (await holdsWantedSlot(redis, dea, lastHeartbeatOf, policy)) ?? dea.runsSomething;
  };
  await forEachChunk([...late.filter(({ runsSomething }) => runsSomething), ...empty], read);
  await countEmptyDeas(facts, times, read, policy);
  return facts;
}

/**
 * The stored count of a DEA may be 0 although an instance on it is wanted: the first pass may have come after the heartbeat. Where
 * the hold would be raised, DEAs that send heartbeats and seem empty are read, too, until the share is too small.
 */
async function countEmptyDeas(
  facts: readonly DeaFacts[],
  { lateBeforeMs, countedFromMs }: MassLossCutoffs,
  read: (dea: DeaFacts) => Promise<void>,
  policy: PolicySettings,
): Promise<void> {
  const known = facts.filter(
    ({ shutdown, lastHeartbeatMs }) => !shutdown && lastHeartbeatMs >= countedFromMs,
  );
  const running = known.filter(({ runsSomething }) => runsSomething);
  const late = running.filter(({ lastHeartbeatMs }) => lastHeartbeatMs < lateBeforeMs).length;
  let counted = running.length;
  const empty = known
    .filter(({ runsSomething, lastHeartbeatMs }) => !runsSomething && lastHeartbeatMs >= lateBeforeMs)
    .slice(0, EMPTY_DEAS_READ);
  for (let at = 0; at < empty.length && isEnough(late, counted, policy); at += DEAS_AT_ONCE) {
    const chunk = empty.slice(at, at + DEAS_AT_ONCE);
    await forEachChunk(chunk, read);
    counted += chunk.filter(({ runsSomething }) => runsSomething).length;
  }
}

/** DEAs of a stored count of 0 that one evaluation reads: thousands may be made up. The others hold no slot. */
const EMPTY_DEAS_READ = 1000;

/** Bounds the commands that wait at once. */
const DEAS_AT_ONCE = 100;

async function forEachChunk(deas: readonly DeaFacts[], run: (dea: DeaFacts) => Promise<void>): Promise<void> {
  for (let at = 0; at < deas.length; at += DEAS_AT_ONCE)
    await Promise.all(deas.slice(at, at + DEAS_AT_ONCE).map(run));
}
