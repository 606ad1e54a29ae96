/**
 * Every fraction and multiple of `droplet_lost` (all in milliseconds), each with its reason. Some must be larger than
 * others, see `assertThresholds`.
 */
import type { PolicySettings } from './settings.ts';

type Settings = Pick<PolicySettings, 'dropletLostMs'>;

/** A live DEA sends a heartbeat at least this often: every 10 s where `droplet_lost` is 30 s. */
export const heartbeatPeriodMs = ({ dropletLostMs }: Settings): number => dropletLostMs / 3;

/** Heartbeats of a DEA that were received less than this apart are no two full lists, and have no order if two ingestors got them. */
export const receivedTogetherMs = ({ dropletLostMs }: Settings): number => dropletLostMs / 30;

/** A heartbeat waits no longer for another ingestor that stores one of the same DEA: that ingestor has ended or stands still. */
export const unfinishedWaitMs = ({ dropletLostMs }: Settings): number => dropletLostMs / 6;

/** Half a heartbeat period: how soon to reconcile again when the next heartbeat decides. */
export const heartbeatPollMs = ({ dropletLostMs }: Settings): number => dropletLostMs / 6;

/** A DEA silent for longer has missed a heartbeat, so its droplets are reconciled as soon as it is lost. */
export const overdueAfterMs = ({ dropletLostMs }: Settings): number => dropletLostMs / 2;

/** An instance that the latest heartbeats left out for no longer is still on its DEA: they may not have been full lists. */
export const leftOutMs = heartbeatPeriodMs;

/** How long after a pass has brought a new version its DEAs may still rename their instances: they hear of it by another way. */
export const renameTakesMs = ({ dropletLostMs }: Settings): number => dropletLostMs / 12;

/** A DEA silent for longer is late. `mass_loss` is raised by the share of late DEAs. */
export const lateAfterMs = ({ dropletLostMs }: Settings): number => (dropletLostMs * 2) / 3;

/** An ingestor without a watermark for longer has a gap: every DEA sent a heartbeat in that time. */
export const watermarkGapMs = heartbeatPeriodMs;

/** Ticks come every second, but late on a busy machine. */
const THREE_TICKS_MS = 3_000;

/** `mass_loss` not evaluated for longer has a gap. Three ticks at least, so that a short `droplet_lost` leaves room for late ones. */
export const evaluationGapMs = (settings: Settings): number =>
  Math.max(heartbeatPeriodMs(settings), THREE_TICKS_MS);

/** `mass_loss` must be evaluated for this long before a loss is acted on. In it every DEA that is back sends a heartbeat. */
export const evaluationSettlesMs = heartbeatPeriodMs;

/** `mass_loss` ends when the share of late DEAs has been too small for this long. In it every DEA sends a heartbeat. */
export const massLossEndsMs = heartbeatPeriodMs;

/** `mass_loss` counts a DEA until it is silent for longer: then it is a dead host, not one of many that were just cut off. */
export const massLossCountsMs = ({ dropletLostMs }: Settings): number => 3 * dropletLostMs;

/** Longest period of the tick, so that a tick sees a DEA late before it is lost. */
export const longestTickMs = ({ dropletLostMs }: Settings): number => dropletLostMs / 4;

/**
 * Longest time from the recheck of a start or stop to its publish, and again from its publish to its flush. After
 * `droplet_lost` another start may be sent for the slot, and an older one that arrives later would start a second instance.
 */
export const sendDeadlineMs = ({ dropletLostMs }: Settings): number => dropletLostMs / 3;

/** While an exit is in force, no heartbeat makes its instance live again. It outlasts heartbeats that are stored late. */
export const exitInForceMs = ({ dropletLostMs }: Settings): number => 2 * dropletLostMs;

/** An exit is kept until no heartbeat received while it was in force can make its instance count as live. */
export const exitKeptMs = ({ dropletLostMs }: Settings): number => 3 * dropletLostMs;

/** A heartbeat can be the cause of a decision for this long: what it no longer lists is lost `droplet_lost` after it. */
export const heartbeatCauseMs = ({ dropletLostMs }: Settings): number => 2 * dropletLostMs;

/** A lost DEA whose instances are all replaced by then needs no more attention. */
export const silenceSettledMs = ({ dropletLostMs }: Settings): number => 2 * dropletLostMs;

/**
 * The instances that a silent DEA listed are forgotten after this. That is before the DEA is: otherwise an instance that ended
 * meanwhile would be live again when the DEA comes back.
 */
export const instanceExpiryMs = ({ dropletLostMs }: Settings): number => 9 * dropletLostMs;

/** What Redis has lost is searched for once in this time: each DEA and each bulk page has its turn (nine minutes). */
export const verifyEveryMs = ({ dropletLostMs }: Settings): number => 18 * dropletLostMs;

/** What Redis has lost is built again within this time (ten minutes; policy: self-healing). */
export const rebuiltWithinMs = ({ dropletLostMs }: Settings): number => 20 * dropletLostMs;

/** Keys that somebody gave another type are searched for this often (a minute): the hold `actual_not_fresh` covers it that long. */
export const keyTypesEveryMs = ({ dropletLostMs }: Settings): number => 2 * dropletLostMs;

/** A pass that writes every entry of the desired state is requested this seldom (five minutes). */
export const fullPassEveryMs = ({ dropletLostMs }: Settings): number => 10 * dropletLostMs;

/**
 * Every DEA stored whole costs as much as a cold start, so it is not caused more often. A lost record is built again only after it was
 * caused: before its grace period ends, every DEA has sent a heartbeat, which is stored whole.
 */
export const allWholeEveryMs = ({ dropletLostMs }: Settings): number => dropletLostMs / 2;

/** A record older than this may lose its grace period before every DEA has sent its next heartbeat. */
export const oldRecordMs = ({ dropletLostMs }: Settings): number => dropletLostMs - dropletLostMs / 3;

/** A DEA silent for longer is forgotten. */
export const deaExpiryMs = ({ dropletLostMs }: Settings): number => 10 * dropletLostMs;

/** The relations that the policy relies on: [what holds, the smaller side, the larger side]. */
const RELATIONS: readonly [holds: string, smallerMs: Threshold, largerMs: Threshold][] = [
  ['several ticks fit into an evaluation gap', longestTickMs, evaluationGapMs],
  ['a DEA that sends its heartbeats is not overdue', heartbeatPeriodMs, overdueAfterMs],
  ['a DEA is overdue before it is late', overdueAfterMs, lateAfterMs],
  ['the gap of a stopped ingestor shows before DEAs seem late because of it', watermarkGapMs, lateAfterMs],
  // Their last heartbeats are up to a period apart.
  [
    'DEAs cut off together are all late when the first of them is lost',
    (settings) => lateAfterMs(settings) + heartbeatPeriodMs(settings),
    lost,
  ],
  [
    'a start is flushed before another is sent for its slot',
    (settings) => 2 * sendDeadlineMs(settings),
    lost,
  ],
  ['mass_loss counts DEAs that are lost', lost, massLossCountsMs],
  ['an exit is in force until its instance would be lost anyway', lost, exitInForceMs],
  [
    'no heartbeat that an exit overrides counts when the exit is forgotten',
    (settings) => exitInForceMs(settings) + lost(settings),
    exitKeptMs,
  ],
  ['mass_loss no longer counts a DEA whose instances are forgotten', massLossCountsMs, instanceExpiryMs],
  ['exits are forgotten before the instances of their DEA', exitKeptMs, instanceExpiryMs],
  ['instances are forgotten before their DEA', instanceExpiryMs, deaExpiryMs],
  [
    'before the grace period of an old record ends, every DEA has sent a heartbeat',
    (settings) => oldRecordMs(settings) + heartbeatPeriodMs(settings),
    lost,
  ],
  [
    'every DEA is stored whole within the grace period of a record that lacks instances',
    (settings) => allWholeEveryMs(settings) + heartbeatPeriodMs(settings),
    lost,
  ],
  [
    'what Redis has lost is built again in time',
    (settings) => verifyEveryMs(settings) + allWholeEveryMs(settings) + heartbeatPeriodMs(settings),
    rebuiltWithinMs,
  ],
  [
    'every DEA has sent a heartbeat after it renamed its instances before the grace period of a new version ends',
    (settings) => renameTakesMs(settings) + heartbeatPeriodMs(settings),
    lost,
  ],
  ['a full pass is due before the turn of what it builds again', fullPassEveryMs, verifyEveryMs],
];

type Threshold = (settings: Settings) => number;

function lost({ dropletLostMs }: Settings): number {
  return dropletLostMs;
}

/** Sums of fractions are not exact. */
const ROUNDING_MS = 0.001;

/** Called once at start. @throws Error naming each relation that does not hold: then a threshold above was changed alone */
export function assertThresholds(settings: Settings, relations = RELATIONS): void {
  const broken = relations.flatMap(([holds, smaller, larger]) => {
    const [smallerMs, largerMs] = [smaller(settings), larger(settings)];
    return smallerMs <= largerMs + ROUNDING_MS ? [] : [`${holds}: ${smallerMs} ms > ${largerMs} ms`];
  });
  if (broken.length > 0) {
    throw new Error(
      `thresholds of droplet_lost (common/policy/thresholds.ts) do not fit: ${broken.join('; ')}`,
    );
  }
}
