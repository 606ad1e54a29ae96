/** The decision about one droplet while it is made: what its parts share and add to. */
import type { Slot } from '../../common/model/droplet.ts';
import type { StartWait } from '../../common/policy/fleet/holds.ts';
import { isProbing } from '../../common/policy/slots/probing.ts';
import { wantedIndices } from '../../common/policy/slots/wanted.ts';
import type { Snapshot } from '../../common/policy/snapshot.ts';
import { heartbeatPeriodMs } from '../../common/policy/thresholds.ts';
import type { Decision, StartDecision, StopDecision } from './decision.ts';

/** Collects the decisions about one droplet, its next slots, and when it must be reconciled again. */
export class DecisionDraft {
  readonly snapshot: Snapshot;
  readonly slots: SlotDrafts;
  readonly decisions: Decision[] = [];
  readonly verifyJobs: (StartDecision | StopDecision)[] = [];
  requeueAtMs: number | undefined;
  requeueOnceEnqueuedMs: number | undefined;
  lossMs: number | undefined;
  #missingShare: number | undefined;
  #isProbing: boolean | undefined;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    this.slots = new SlotDrafts(snapshot.droplet.slots);
  }

  /** Share of the wanted indices that have no live instance, 0..1. */
  get missingShare(): number {
    this.#missingShare ??= this.#countMissing();
    return this.#missingShare;
  }

  /** Whether only one index may be started, as a probe. Call it when all new exits are processed. */
  get isProbing(): boolean {
    this.#isProbing ??= isProbing(this.snapshot, this.slots);
    return this.#isProbing;
  }

  #countMissing(): number {
    const wanted = wantedIndices(this.snapshot.droplet);
    if (wanted === 0) return 1;
    let live = 0;
    for (const index of this.snapshot.live.keys()) if (index < wanted) live++;
    return 1 - live / wanted;
  }

  /**
   * Reconcile the droplet again at this time at the latest, because the decision may differ then. A time in the past
   * is moved to the next millisecond.
   *
   * @param atMs epoch ms
   * @param onceEnqueuedMs the same, if the jobs of all waiting starts are known to be in their queue
   */
  requeueAt(atMs: number, onceEnqueuedMs = atMs): void {
    this.requeueAtMs = this.#earliest(this.requeueAtMs, atMs);
    this.requeueOnceEnqueuedMs = this.#earliest(this.requeueOnceEnqueuedMs, onceEnqueuedMs);
  }

  /**
   * A DEA of the droplet counts as lost from `atMs` on. A tick then finds the loss and makes the droplet due; the
   * requeue is for the case that no tick can.
   */
  requeueAtLoss(atMs: number): void {
    this.lossMs = this.#earliest(this.lossMs, atMs);
    this.requeueAt(atMs);
  }

  #earliest(knownMs: number | undefined, ms: number): number {
    const atMs = Math.max(Math.ceil(ms), this.snapshot.nowMs + 1);
    return knownMs === undefined ? atMs : Math.min(knownMs, atMs);
  }

  /**
   * Polls for the end of a hold, because no event announces it.
   *
   * - `update_required`: every second. It ends with the next pass, within about a second, and that pass need not write
   *   to this droplet.
   * - `mass_loss`: every `droplet_lost`. It holds a large part of the fleet for minutes, and when it ends a tick makes
   *   the droplets of its DEAs due.
   * - `evaluating`: every heartbeat period. A tick makes the droplets of a lost DEA due when it is over.
   * - `operator`: every `droplet_lost`, and when it ends by its time. Ending it by hand makes what it holds due.
   * - others: every few seconds.
   *
   * @param untilMs when the hold ends without an operator, if that is known
   */
  requeueSoon(hold?: StartWait, untilMs?: number): void {
    if (untilMs !== undefined) this.requeueAt(untilMs);
    const { nowMs, settings } = this.snapshot;
    const { dropletLostMs, dropletsAnalysisMs } = settings;
    if (hold === 'update_required') this.requeueAt(nowMs + 1000);
    else if (hold === 'mass_loss' || hold === 'operator') this.requeueAt(nowMs + dropletLostMs);
    else if (hold === 'evaluating') this.requeueAt(nowMs + heartbeatPeriodMs(settings));
    else this.requeueAt(nowMs + Math.min(5000, dropletsAnalysisMs / 4));
  }
}

/** The slots of one droplet, copied on the first change: an unchanged slot stays the same object. */
export class SlotDrafts {
  readonly #before: ReadonlyMap<number, Slot>;
  #after: Map<number, Slot> | undefined;

  constructor(before: ReadonlyMap<number, Slot>) {
    this.#before = before;
  }

  get(index: number): Slot | undefined {
    return (this.#after ?? this.#before).get(index);
  }

  /** A copy of the slot that may be changed; a new slot of `version` if there is none. */
  edit(index: number, version: string): Slot {
    const known = this.get(index);
    if (known !== undefined && known !== this.#before.get(index)) return known;
    const draft: Slot = known === undefined ? { index, version, crashes: 0, flapping: false } : { ...known };
    this.#copy().set(index, draft);
    return draft;
  }

  remove(index: number): void {
    if (this.get(index) !== undefined) this.#copy().delete(index);
  }

  /** Safe to iterate while slots are edited and removed. */
  all(): Iterable<Slot> {
    return [...(this.#after ?? this.#before).values()];
  }

  some(predicate: (slot: Slot) => boolean): boolean {
    for (const slot of (this.#after ?? this.#before).values()) if (predicate(slot)) return true;
    return false;
  }

  /** The next slots, and whether any of them was edited or removed. */
  result(): { slots: ReadonlyMap<number, Slot>; changed: boolean } {
    return { slots: this.#after ?? this.#before, changed: this.#after !== undefined };
  }

  #copy(): Map<number, Slot> {
    this.#after ??= new Map(this.#before);
    return this.#after;
  }
}
