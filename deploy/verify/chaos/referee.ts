import {
  refuseStart,
  refuseStop,
  type StartRequest,
  type StopRequest,
} from '../../demo/controller/admission.ts';
import type { App } from '../../demo/controller/apps.ts';
import type { DesiredApp } from './controller.ts';
import { SILENCE_SLACK_MS, type TrueInstance } from './deas.ts';
import type { Undisturbed } from './undisturbed.ts';

/** What truly runs, what the controller truly wants, and when each was reported. */
export interface GroundTruth {
  /** The app as the controller wants it, also after it was deleted. */
  desired(droplet: string): DesiredApp | undefined;
  /** The instances of the droplet, including those that ended recently. */
  instances(droplet: string): readonly TrueInstance[];
  /**
   * The DEAs that should run something; of them those that have been silent since a disconnection, and whose last heartbeat was at `ms`
   * or before.
   */
  silentSince(ms: number): { silent: number; counted: number };
  /** The last release of a connection on which messages waited, so that they arrived late. */
  lastRelease(): Release;
  undisturbed: Undisturbed;
  nowMs(): number;
}

/** A connection to NATS was stalled and released (ms, monotonic). */
export interface Release {
  stalledMs: number;
  releasedMs: number;
}

export const NEVER_RELEASED: Release = {
  stalledMs: Number.NEGATIVE_INFINITY,
  releasedMs: Number.NEGATIVE_INFINITY,
};

export interface Times {
  dropletLostMs: number;
  desiredStateLostMs: number;
  desiredStateUpdateMs: number;
  /** If this share of the DEAs, and at least so many, are silent at once, the network has failed, for as long as the hold lasts. */
  massLoss: { fraction: number; minimumDeas: number; holdMs: number };
}

/** The judgement of a message. `unknowable`: wrong by the truth, for a reason that the health manager cannot know. */
export interface Verdict {
  verdict: 'right' | 'wrong' | 'unknowable';
  /** Why it is not right. */
  why?: string;
  /** Why the controller refuses it. */
  refused?: string;
}

/** Without a fault, a message is processed within this time: delivery, batching, a round trip or two. */
const KNOWN_WITHIN_MS = 1_500;
/** For the delivery of messages, and the time between a recheck and the publish. */
const SLACK_MS = 1_000;

/**
 * Judges every message against the truth.
 *
 * A start is wrong if a live instance is at its slot. A stop is wrong if it names a wanted RUNNING instance and no other
 * copy at its slot stays. Both are wrong if the controller refuses them, if one decision is sent twice, or if a slot has two
 * starts on their way. A wrong message is excused as *unknowable* by these rules:
 *
 * - Without a fault, every message is known `KNOWN_WITHIN_MS` after it was sent.
 * - Under any fault, an instance that its DEA has listed for `droplet_lost` (and slack) is known. A lost heartbeat is
 *   followed by the next one, and while none arrives the hold `actual_not_fresh` must be on. So an outage of NATS or a
 *   stopped ingestor excuses nothing.
 * - The instances of a single disconnected DEA are live for `droplet_lost` after their last heartbeat. After that they are
 *   missing by the policy, and a start is right, until the DEA sends a heartbeat again. That is not so if enough DEAs that should
 *   run something disconnected together to raise `mass_loss`, for as long as that hold lasts. A DEA that disconnected some seconds
 *   before most others is lost before they are late. After a reconnection its instances must be reported again.
 * - After Redis lost its data every instance must be reported again. Instances that no DEA has listed since then are
 *   unknown, and no hold covers them.
 *   The same holds for one droplet after its record was deleted or edited.
 * - Silence is the time since the last heartbeat without the time in which NATS was away or refused the subscription, because no
 *   ingestor can listen then.
 * - An instance that its DEA renamed in place (a route was mapped) is known at once, if no fault was on before: the new
 *   version has a grace period until its DEA's next heartbeat, for `droplet_lost` at most.
 * - A nudger abandons a stalled connection together with the start on it, after a time. A stopped or killed nudger cannot: its
 *   start arrives when the connection is released. By then Redis may have lost its data, another nudger may have sent a start,
 *   and an instance may have been reported that was not known when the connection was stalled.
 * - A change without a `droplet.updated` is known after the next pass.
 * - A change of an app is known `desired_state_lost` (and slack) later under any fault: a sync pass has read it by then, or
 *   the hold `desired_unavailable` is on. That hold covers only missing starts, and stops. For other starts only the time
 *   without a fault counts.
 */
export class Referee {
  readonly #truth: GroundTruth;
  readonly #times: Times;
  readonly #ids = new Set<string>();
  /** When the latest start of each slot arrived. */
  readonly #starts = new Map<string, { atMs: number; isLate: boolean }>();

  constructor(truth: GroundTruth, times: Times) {
    this.#truth = truth;
    this.#times = times;
  }

  /**
   * @param id header `Nats-Msg-Id`
   * @param reason header `HM-Reason`; undefined on a server without headers, so it may be any
   */
  start(request: StartRequest, id: string, reason: string | undefined): Verdict {
    const { droplet, version, indices } = request;
    const repeated = this.#sentTwice(id);
    const desired = this.#truth.desired(droplet);
    const app = desired?.deletedMs === undefined ? desired?.app : undefined;
    const refused = refuseStart(app, request);
    const [index] = indices as [number];
    const slot = this.#truth
      .instances(droplet)
      .filter((instance) => instance.version === version && instance.index === index);
    const onItsWay = this.#onItsWay(`${droplet} ${version} ${index}`, slot);
    if (repeated !== undefined) return repeated;
    if (refused !== undefined)
      return this.#refused(refused, this.#isChangeKnown(desired, reason === 'missing'));
    if (onItsWay !== undefined) return onItsWay;
    const running = slot.filter(
      ({ endedMs, state }) => endedMs === undefined && (state === 'STARTING' || state === 'RUNNING'),
    );
    if (running.length === 0) return { verdict: 'right' };
    const known = running.find((instance) => this.#isKnown(instance));
    if (known !== undefined && this.#wasKnownWhenSent(known))
      return wrong(`${known.guid} is ${known.state} at index ${index}`);
    if (known !== undefined) return { verdict: 'unknowable', why: ARRIVED_LATE };
    return { verdict: 'unknowable', why: this.#whyUnknowable(running[0] as TrueInstance) };
  }

  stop(request: StopRequest, id: string): Verdict {
    const { droplet, instances } = request;
    const repeated = this.#sentTwice(id);
    if (repeated !== undefined) return repeated;
    const desired = this.#truth.desired(droplet);
    const app = desired?.deletedMs === undefined ? desired?.app : undefined;
    const refused = refuseStop(app, request);
    if (refused !== undefined) return this.#refused(refused, this.#isChangeKnown(desired));
    const all = this.#truth.instances(droplet);
    const named = all.filter(({ guid, endedMs }) => guid in instances && endedMs === undefined);
    for (const victim of named) {
      if (app?.state !== 'STARTED' || victim.state !== 'RUNNING') continue;
      const why =
        victim.version === app.version
          ? this.#whyNotStopCurrent(victim, all, app)
          : this.#whyNotStopOld(all, app);
      if (why === undefined) continue;
      return this.#isChangeKnown(desired) ? wrong(why) : { verdict: 'unknowable', why };
    }
    return { verdict: 'right' };
  }

  #whyNotStopCurrent(victim: TrueInstance, all: readonly TrueInstance[], app: App): string | undefined {
    if (victim.index >= app.instances) return undefined;
    const stays = all.some(
      (other) =>
        other !== victim &&
        other.version === victim.version &&
        other.index === victim.index &&
        this.#staysRunning(other),
    );
    return stays
      ? undefined
      : `${victim.guid} is wanted and RUNNING at index ${victim.index}, and nothing else is`;
  }

  #whyNotStopOld(all: readonly TrueInstance[], app: App): string | undefined {
    const replaced = all.some((other) => other.version === app.version && this.#staysRunning(other));
    return replaced ? undefined : 'stop of an old version before the new one runs';
  }

  /**
   * Whether the health manager may count on this instance: no stop of it was accepted, though its DEA may just have died.
   * An instance that still runs `droplet_lost` after an accepted stop never got it, because its DEA was disconnected.
   */
  #staysRunning({ endedMs, exitSentMs, lastRunningMs, stopAcceptedMs }: TrueInstance): boolean {
    const nowMs = this.#truth.nowMs();
    if (
      stopAcceptedMs !== undefined &&
      (endedMs !== undefined || nowMs - stopAcceptedMs <= this.#times.dropletLostMs)
    )
      return false;
    if (lastRunningMs === undefined) return false;
    // What Redis has lost since may be another app's, so the health manager may know the instance yet.
    if (endedMs === undefined) return true;
    if (exitSentMs !== undefined && this.#isKnownUndisturbed(exitSentMs)) return false;
    return nowMs - lastRunningMs <= this.#times.dropletLostMs + SLACK_MS;
  }

  /** Whether the health manager has to know that the instance is live. */
  #isKnown({ dea, droplet, renamedMs, steadySinceMs, lastListedMs }: TrueInstance): boolean {
    if (steadySinceMs === undefined || lastListedMs === undefined) return false;
    const { undisturbed } = this.#truth;
    const dataLostMs = undisturbed.dataLostMsOf(droplet);
    if (lastListedMs < dataLostMs) return false;
    const nowMs = this.#truth.nowMs();
    const { dropletLostMs, massLoss } = this.#times;
    // Silence counts only while an ingestor can listen.
    const silentMs = undisturbed.listenedMs(lastListedMs, nowMs);
    if (dea.silentSinceDisconnect && silentMs > dropletLostMs - SILENCE_SLACK_MS) {
      // The hold is on only if the other DEAs were late by the time when this DEA is lost.
      const lateMs = undisturbed.listenedAfterMs(lastListedMs, dropletLostMs / 3 - SILENCE_SLACK_MS);
      const { silent, counted } = this.#truth.silentSince(lateMs);
      if (silent < massLoss.minimumDeas || silent < massLoss.fraction * counted) return false;
      if (silentMs > massLoss.holdMs) return false;
    }
    const isInGrace = renamedMs !== undefined && nowMs - renamedMs <= dropletLostMs;
    if (isInGrace && undisturbed.sinceMs <= renamedMs - KNOWN_WITHIN_MS) return true;
    const sinceMs = Math.max(steadySinceMs, dataLostMs);
    return this.#isKnownUndisturbed(sinceMs) || nowMs - sinceMs > dropletLostMs + SLACK_MS;
  }

  /** A start that arrives late may have been sent when its connection was stalled. */
  #wasKnownWhenSent({ steadySinceMs = 0 }: TrueInstance): boolean {
    const { stalledMs } = this.#truth.lastRelease();
    return (
      !this.#isLate(this.#truth.nowMs()) || stalledMs - steadySinceMs > this.#times.dropletLostMs + SLACK_MS
    );
  }

  /** Why a running instance cannot be known; few different texts, because the ledger counts them. */
  #whyUnknowable({ dea, droplet, steadySinceMs, lastListedMs }: TrueInstance): string {
    if (steadySinceMs === undefined || lastListedMs === undefined)
      return 'an instance before its first heartbeat';
    if (dea.silentSinceDisconnect) return 'an instance of a DEA that was disconnected for too long';
    return steadySinceMs < this.#truth.undisturbed.dataLostMsOf(droplet)
      ? 'an instance not reported for long enough since Redis lost its data'
      : 'an instance not reported for long enough during a fault';
  }

  /** @param isHeld whether the hold `desired_unavailable` covers the message */
  #isChangeKnown(desired: DesiredApp | undefined, isHeld = true): boolean {
    if (desired === undefined) return true; // the app never existed
    const { changedMs, isUnannounced } = desired;
    const sinceMs = isHeld ? changedMs : Math.max(changedMs, this.#truth.undisturbed.sinceMs);
    const listedMs = this.#truth.nowMs() - sinceMs;
    const passMs = isUnannounced ? this.#times.desiredStateUpdateMs + SLACK_MS : 0;
    return (
      this.#isKnownUndisturbed(changedMs, passMs) || listedMs > this.#times.desiredStateLostMs + 3 * SLACK_MS
    );
  }

  #isKnownUndisturbed(sentMs: number, afterMs = 0): boolean {
    const withinMs = KNOWN_WITHIN_MS + afterMs;
    return sentMs >= this.#truth.undisturbed.sinceMs && this.#truth.nowMs() - sentMs > withinMs;
  }

  /** A refused request does no harm, but is wrong if the reason was known. */
  #refused(refused: string, isKnown: boolean): Verdict {
    const why = `the controller refuses it: ${refused}`;
    return isKnown ? { verdict: 'wrong', why, refused } : { verdict: 'unknowable', why, refused };
  }

  #sentTwice(id: string): Verdict | undefined {
    const isRepeated = this.#ids.has(id);
    this.#ids.add(id);
    return isRepeated ? wrong(`decision ${id} was sent before`) : undefined;
  }

  /**
   * A slot has at most one start on its way, for `droplet_lost` after it was sent or until its instance is reported. On the
   * wire the interval may look shorter, by the delivery time of the first start.
   */
  #onItsWay(key: string, slot: readonly TrueInstance[]): Verdict | undefined {
    const { undisturbed } = this.#truth;
    const nowMs = this.#truth.nowMs();
    const isLate = this.#isLate(nowMs);
    const { atMs: beforeMs, isLate: wasLate } = this.#starts.get(key) ?? {};
    this.#starts.set(key, { atMs: nowMs, isLate });
    if (beforeMs === undefined || beforeMs < undisturbed.dataLostMsOf(key.split(' ')[0] as string))
      return undefined;
    const wasUndisturbed = undisturbed.sinceMs <= beforeMs - KNOWN_WITHIN_MS;
    const { dropletLostMs } = this.#times;
    if (nowMs - beforeMs > (wasUndisturbed ? dropletLostMs - SILENCE_SLACK_MS : dropletLostMs / 2))
      return undefined;
    // The slot is free if its instance ended after that start, or if the end may have been processed only after it.
    const processedSinceMs = beforeMs - (wasUndisturbed ? SILENCE_SLACK_MS : dropletLostMs);
    const over = slot.some(
      ({ endedMs, state }) => (endedMs ?? 0) > processedSinceMs || state === 'EVACUATING',
    );
    if (over) return undefined;
    return wasLate || isLate
      ? {
          verdict: 'unknowable',
          why: ARRIVED_LATE,
        }
      : wrong(`a start of ${Math.round(nowMs - beforeMs)} ms before is on its way`);
  }

  /** Whether a message that arrived then may have been on a stalled connection. */
  #isLate(arrivedMs: number): boolean {
    const sinceMs = arrivedMs - this.#truth.lastRelease().releasedMs;
    return sinceMs >= 0 && sinceMs < SLACK_MS;
  }
}

const ARRIVED_LATE = 'this start or the one before it arrived late, because its connection was stalled';

const wrong = (why: string): Verdict => ({ verdict: 'wrong', why });
