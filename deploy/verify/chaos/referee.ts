import { refuseStart, refuseStop, type StartRequest, type StopRequest } from '../../demo/controller/admission.ts';
import type { App } from '../../demo/controller/apps.ts';
import { SILENCE_SLACK_MS, type TrueInstance } from './hosts.ts';
import type { Quiet } from './undisturbed.ts';

/** What the referee knows: the truth, and when it was told. */
export interface Truth {
  /** The controller's wish, deleted apps included. */
  wish(droplet: string): { app: App; changedMs: number; goneMs?: number } | undefined;
  /** Instances of the droplet, those that ended not long ago included. */
  instances(droplet: string): readonly TrueInstance[];
  /** Share of the hosts that are or were cut off, and whose last heartbeat was at `ms` or before. */
  cutShareSince(ms: number): number;
  /** When what a process had sent last came through late, as nothing got through and it stood still, so that it took nothing back (ms). */
  heldUpMs(): number;
  quiet: Quiet;
  nowMs(): number;
}

export interface Times {
  dropletLostMs: number;
  desiredStateLostMs: number;
  /** So many hosts cut off together are a cut-off network. */
  massLossFraction: number;
}

/** What a message was found to be. `unknowable`: not right by the truth, but nobody could have told the health manager. */
export interface Finding {
  verdict: 'right' | 'wrong' | 'unknowable';
  /** Why it is not right. */
  why?: string;
  /** The controller's own check refuses it. */
  refused?: string;
}

/** While nothing is disturbed, what was said is known after this: messages, gathering, a round trip or two. */
const KNOWN_WITHIN_MS = 1_500;
/** For delays of messages on their way, and the moment between a second look and the wire. */
const SLACK_MS = 1_000;

/**
 * Judges every message that leaves, by the truth.
 *
 * A start is wrong if an instance that counts as live is at its slot; a stop is wrong if it names a wanted RUNNING
 * instance and no other copy at its slot stays; both are wrong if the controller's check refuses them, and if one
 * decision leaves twice or a slot has two starts on their way. Unless it *could not be known*:
 *
 * - What was said while nothing was disturbed is known `KNOWN_WITHIN_MS` later.
 * - Whatever fault was on: an instance that its host has listed for `droplet_lost` (and slack) is known. Of messages that
 *   are lost the next heartbeat says the same, and while none gets through, the hold `actual_not_fresh` is to
 *   keep starts back: so a NATS that was away, or a stopped ingestor, excuses nothing.
 * - A host that is cut off from NATS alone: its instances are live for `droplet_lost` after the last heartbeat that listed
 *   them. Then they are missing by the policy, and a start is right, until it says something again; not if so many hosts were
 *   cut off together that the hold `mass_loss` is to be on by then: a host that was cut off alone, some seconds before
 *   most others, is lost before they are late. When the host is back its instances have to be heard anew.
 * - After Redis lost its data everything has to be heard anew: what no host has listed since, as it was cut off by then,
 *   nothing knows of, and no hold can speak for it.
 * - A start that hangs on its way is given up by its sender with the connection; not if that stands still: the start arrives
 *   when the way is open again, and by then another one may have been sent.
 * - The controller's wish is known `desired_state_lost` (and slack) after its change whatever fault was on: a pass has
 *   read it by then, or the hold `desired_unavailable` is on.
 */
export class Referee {
  readonly #truth: Truth;
  readonly #times: Times;
  readonly #ids = new Set<string>();
  /** When each slot's latest start was seen. */
  readonly #starts = new Map<string, number>();

  constructor(truth: Truth, times: Times) {
    this.#truth = truth;
    this.#times = times;
  }

  /** @param id header `Nats-Msg-Id` */
  start(request: StartRequest, id: string): Finding {
    const { droplet, version, indices } = request;
    const again = this.#sentTwice(id);
    const wish = this.#truth.wish(droplet);
    const app = wish?.goneMs === undefined ? wish?.app : undefined;
    const refused = refuseStart(app, request);
    const [index] = indices as [number];
    const slot = this.#truth
      .instances(droplet)
      .filter((instance) => instance.version === version && instance.index === index);
    const onItsWay = this.#onItsWay(`${droplet} ${version} ${index}`, slot);
    if (again !== undefined) return again;
    if (refused !== undefined) return this.#refused(refused, wish?.changedMs);
    if (onItsWay !== undefined) return onItsWay;
    const there = slot.filter(
      ({ endedMs, state }) => endedMs === undefined && (state === 'STARTING' || state === 'RUNNING'),
    );
    if (there.length === 0) return { verdict: 'right' };
    const known = there.find((instance) => this.#isKnown(instance));
    if (known !== undefined) return wrong(`${known.guid} is ${known.state} at index ${index}`);
    return { verdict: 'unknowable', why: this.#whyUnknowable(there[0] as TrueInstance) };
  }

  stop(request: StopRequest, id: string): Finding {
    const { droplet, instances } = request;
    const again = this.#sentTwice(id);
    if (again !== undefined) return again;
    const wish = this.#truth.wish(droplet);
    const app = wish?.goneMs === undefined ? wish?.app : undefined;
    const refused = refuseStop(app, request);
    if (refused !== undefined) return this.#refused(refused, wish?.changedMs);
    const all = this.#truth.instances(droplet);
    const named = all.filter(({ guid, endedMs }) => guid in instances && endedMs === undefined);
    for (const victim of named) {
      if (app?.state !== 'STARTED' || victim.state !== 'RUNNING') continue;
      const why =
        victim.version === app.version
          ? this.#whyNotStopCurrent(victim, all, app)
          : this.#whyNotStopOld(all, app);
      if (why === undefined) continue;
      return this.#isWishKnown(wish?.changedMs) ? wrong(why) : { verdict: 'unknowable', why };
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
   * As far as can be known: its host may just have died, but nobody told it to stop. One that goes on for `droplet_lost` after it
   * was told never heard of it: its host was cut off.
   */
  #staysRunning({ endedMs, exitSaidMs, lastRunningMs, stopMs }: TrueInstance): boolean {
    const { quiet } = this.#truth;
    const nowMs = this.#truth.nowMs();
    if (stopMs !== undefined && (endedMs !== undefined || nowMs - stopMs <= this.#times.dropletLostMs))
      return false;
    if (lastRunningMs === undefined || lastRunningMs < quiet.forgottenMs) return false;
    if (endedMs === undefined) return true;
    if (exitSaidMs !== undefined && this.#knownUndisturbed(exitSaidMs)) return false;
    return nowMs - lastRunningMs <= this.#times.dropletLostMs + SLACK_MS;
  }

  /** Whether the health manager has to know that the instance is live. */
  #isKnown({ host, steadySinceMs, lastListedMs }: TrueInstance): boolean {
    if (steadySinceMs === undefined || lastListedMs === undefined) return false;
    const { quiet } = this.#truth;
    if (lastListedMs < quiet.forgottenMs) return false;
    const nowMs = this.#truth.nowMs();
    const { dropletLostMs, massLossFraction } = this.#times;
    if (host.unheardSinceCut && nowMs - lastListedMs > dropletLostMs - SILENCE_SLACK_MS) {
      // When the instance's host is lost, the others must have been late for the hold to be on.
      const lateMs = lastListedMs + dropletLostMs / 3 - SILENCE_SLACK_MS;
      if (this.#truth.cutShareSince(lateMs) < massLossFraction) return false;
    }
    const sinceMs = Math.max(steadySinceMs, quiet.forgottenMs);
    return this.#knownUndisturbed(sinceMs) || nowMs - sinceMs > dropletLostMs + SLACK_MS;
  }

  /** Why an instance that is there cannot be known, in few different words. */
  #whyUnknowable({ host, steadySinceMs, lastListedMs }: TrueInstance): string {
    if (steadySinceMs === undefined || lastListedMs === undefined)
      return 'an instance that no heartbeat listed yet';
    if (host.unheardSinceCut) return 'an instance of a host that is cut off for too long';
    return steadySinceMs < this.#truth.quiet.forgottenMs
      ? 'an instance not heard for long enough since Redis lost its data'
      : 'an instance not heard for long enough, while a fault was on';
  }

  #isWishKnown(changedMs: number | undefined): boolean {
    if (changedMs === undefined) return true; // it never was: nothing can have told of it
    const nowMs = this.#truth.nowMs();
    return (
      this.#knownUndisturbed(changedMs) || nowMs - changedMs > this.#times.desiredStateLostMs + 3 * SLACK_MS
    );
  }

  #knownUndisturbed(saidMs: number): boolean {
    return saidMs >= this.#truth.quiet.sinceMs && this.#truth.nowMs() - saidMs > KNOWN_WITHIN_MS;
  }

  /** No harm is done, but what could be known should not have been asked for. */
  #refused(refused: string, changedMs: number | undefined): Finding {
    const why = `the controller refuses it: ${refused}`;
    return this.#isWishKnown(changedMs)
      ? { verdict: 'wrong', why, refused }
      : { verdict: 'unknowable', why, refused };
  }

  #sentTwice(id: string): Finding | undefined {
    const again = this.#ids.has(id);
    this.#ids.add(id);
    return again ? wrong(`decision ${id} was sent before`) : undefined;
  }

  /**
   * A slot has one start on its way: for `droplet_lost` from when it was sent, or until an instance comes of it. Seen from
   * the wire the time is shorter by how long the first one was on its way.
   */
  #onItsWay(key: string, slot: readonly TrueInstance[]): Finding | undefined {
    const { quiet } = this.#truth;
    const nowMs = this.#truth.nowMs();
    const beforeMs = this.#starts.get(key);
    this.#starts.set(key, nowMs);
    if (beforeMs === undefined || beforeMs < quiet.forgottenMs) return undefined;
    const quietSince = quiet.sinceMs <= beforeMs - KNOWN_WITHIN_MS;
    const { dropletLostMs } = this.#times;
    if (nowMs - beforeMs > (quietSince ? dropletLostMs - SILENCE_SLACK_MS : dropletLostMs / 2))
      return undefined;
    // An end since that start, or one that may have been heard only since.
    const heardSinceMs = beforeMs - (quietSince ? SILENCE_SLACK_MS : dropletLostMs);
    const over = slot.some(({ endedMs, state }) => (endedMs ?? 0) > heardSinceMs || state === 'EVACUATING');
    if (over) return undefined;
    return this.#isLate(beforeMs) || this.#isLate(nowMs)
      ? { verdict: 'unknowable', why: 'it or the start before it came late, as its sender stood still' }
      : wrong(`a start of ${Math.round(nowMs - beforeMs)} ms before is on its way`);
  }

  /** Whether what came then may have hung on its way. */
  #isLate(cameMs: number): boolean {
    const sinceMs = cameMs - this.#truth.heldUpMs();
    return sinceMs >= 0 && sinceMs < SLACK_MS;
  }
}

const wrong = (why: string): Finding => ({ verdict: 'wrong', why });
