/**
 * The recheck: whether a decided start or stop is still right just before it is sent, and the message to send. Built from the
 * same functions as the decision.
 */
import type { StartMessage, StopMessage } from '../messages/outgoing.ts';
import type { Droplet, Holds, Instance } from '../model/droplet.ts';
import type { DropReason, StartReason, StopReason } from '../model/reasons.ts';
import { acceptsStart, acceptsStop } from './admission.ts';
import { holdOnStart, holdOnStop } from './fleet/holds.ts';
import { type Deas, isListed } from './fleet/liveness.ts';
import type { PolicySettings } from './settings.ts';
import { isGivenUp } from './slots/flapping.ts';
import { isProbing, PROBED_INDEX } from './slots/probing.ts';
import {
  countRunning,
  type Running,
  runningByVersion,
  runningForStart,
  runningForStop,
} from './slots/running-counts.ts';
import { otherVersionsStopping, pendingStops, surplusReasonOf } from './slots/surplus.ts';
import { graceEndsMs, isDesired, isWanted, isWantedIgnoringMassDelete } from './slots/wanted.ts';
import { type Snapshot, takeSnapshot } from './snapshot.ts';

/** Result of a recheck. `reason` may differ from the decision's: an evacuation raises a waiting start. */
export type StartCheck =
  | { send: StartMessage; reason: StartReason }
  | { drop: DropReason }
  /** Not yet: recheck at this time (epoch ms). */
  | { wait: number };
export type StopCheck = { send: StopMessage; reason: StopReason } | { drop: DropReason };

/** Recheck period of a start that waits for a pass or an evaluation of `mass_loss`. */
const POLL_MS = 1000;

/**
 * Rechecks of decisions about one droplet, all on the same read of its record. What they share is computed once, so each costs the
 * same however many instances the droplet has.
 *
 * They are safe together, too: the recheck of a stop counts every other pending stop as made, and that of a start depends on no
 * other decision. So what one of them sends changes the result of none of the others.
 */
export class Recheck {
  readonly droplet: Droplet;
  /** Time of the read. */
  readonly nowMs: number;
  readonly #settings: PolicySettings;
  readonly #takeSnapshot: () => Snapshot;
  #snapshot: Snapshot | undefined;
  #forStarts: Running | undefined;
  #probing: boolean | undefined;
  #forStops: StopFacts | undefined;

  constructor(droplet: Droplet, deas: Deas, holds: Holds, nowMs: number, settings: PolicySettings) {
    this.droplet = droplet;
    this.nowMs = nowMs;
    this.#settings = settings;
    this.#takeSnapshot = () => takeSnapshot(droplet, deas, holds, nowMs, settings);
  }

  checkStart(job: { id: string; index: number; version: string }): StartCheck {
    const { droplet, nowMs } = this;
    const settings = this.#settings;
    const slot = droplet.slots.get(job.index);
    if (slot?.start?.id !== job.id) return { drop: 'superseded' };
    if (droplet.outcomes.has(job.id)) return { drop: 'done' };
    const snapshot = this.#read();
    const { start } = slot;
    const { desired } = droplet;
    const wanted =
      start.reason === 'missing'
        ? isWanted(droplet, job.index)
        : isWantedIgnoringMassDelete(droplet, job.index, snapshot.holds);
    if (desired === undefined || !wanted) return { drop: 'not_wanted' };
    if (desired.version !== job.version || slot.version !== job.version) return { drop: 'not_wanted' };
    if (snapshot.live.has(job.index)) return { drop: 'live' };

    const updated = droplet.updatedMs !== droplet.handledUpdateMs;
    if (updated && start.reason === 'flapping') return { drop: 'updated' };
    if (!updated && isGivenUp(slot, nowMs, settings)) return { drop: 'given_up' };
    if (!updated && job.index !== PROBED_INDEX && this.#isProbing()) return { drop: 'probing' };
    if (start.dueMs !== undefined && nowMs < start.dueMs) return { wait: start.dueMs };
    const hold = holdOnStart(snapshot, start.reason, job.index);
    if (hold === 'evaluating' || (hold === 'update_required' && start.reason !== 'missing')) {
      return { wait: nowMs + POLL_MS };
    }
    if (hold !== undefined) return { drop: `held:${hold}` };
    if (start.reason === 'missing' && nowMs < graceEndsMs(snapshot, job.index)) {
      return { drop: 'in_grace_period' };
    }
    this.#forStarts ??= runningForStart(snapshot);
    if (!acceptsStart(droplet, job.version, job.index, this.#forStarts)) return { drop: 'refused' };
    const send: StartMessage = {
      droplet: droplet.id,
      updatedAtS: desired.updatedAtS,
      version: job.version,
      index: job.index,
      running: this.#forStarts,
      flapping: start.reason === 'flapping',
    };
    return { send, reason: start.reason };
  }

  checkStop(job: { id: string; instance: string }): StopCheck {
    const { droplet } = this;
    const stop = droplet.stops.get(job.instance);
    if (stop?.id !== job.id || stop.held !== undefined) return { drop: 'superseded' };
    if (droplet.outcomes.has(job.id)) return { drop: 'done' };
    const snapshot = this.#read();
    this.#forStops ??= stopFacts(snapshot);
    const { byGuid, pending, staysRunning, otherVersionsStopping, running } = this.#forStops;
    const instance = byGuid.get(job.instance);
    if (instance === undefined || !isListed(instance)) return { drop: 'gone' };
    const reason = surplusReasonOf(snapshot, instance, pending);
    if (reason === undefined) return { drop: 'not_surplus' };
    const hold = holdOnStop(snapshot, reason, instance);
    if (hold !== undefined) return { drop: `held:${hold}` };
    const isOther = instance.version !== droplet.desired?.version;
    if (!acceptsStop(droplet, instance, staysRunning, otherVersionsStopping > (isOther ? 1 : 0)))
      return { drop: 'refused' };
    const desired = isDesired(droplet) ? droplet.desired : undefined;
    // Of a STOPPED app a controller refuses every version but the live one; it finds the instance by its guid.
    const version = desired?.state === 'STOPPED' ? desired.version : instance.version;
    const send: StopMessage = {
      droplet: droplet.id,
      updatedAtS: desired?.updatedAtS,
      instances: [[instance.guid, version]],
      index: instance.index,
      running: runningForStop(snapshot, running, instance, version),
      version: desired?.version,
    };
    return { send, reason };
  }

  #isProbing(): boolean {
    this.#probing ??= isProbing(this.#read(), this.droplet.slots);
    return this.#probing;
  }

  #read(): Snapshot {
    this.#snapshot ??= this.#takeSnapshot();
    return this.#snapshot;
  }
}

/** What the rechecks of a droplet's stops share. */
interface StopFacts {
  /** The instances that run. */
  byGuid: ReadonlyMap<string, Instance>;
  /** Guids of the instances whose stop is pending. */
  pending: ReadonlySet<string>;
  /** RUNNING instances of the live version without a pending stop. */
  staysRunning: number;
  /** Pending stops of instances of other versions. */
  otherVersionsStopping: number;
  running: Running;
}

function stopFacts(snapshot: Snapshot): StopFacts {
  const pending = pendingStops(snapshot);
  return {
    byGuid: new Map([...snapshot.effectiveStates.keys()].map((instance) => [instance.guid, instance])),
    pending,
    staysRunning: countRunning(snapshot, pending),
    otherVersionsStopping: otherVersionsStopping(snapshot, pending),
    running: runningByVersion(snapshot),
  };
}
