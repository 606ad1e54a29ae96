/** What the parts of a decision share while it is made. */
import type { HoldName, Slot } from '../../common/model/droplet.ts';
import type { Snapshot } from '../../common/policy/snapshot.ts';
import { wantedIndices } from '../../common/policy/wanted.ts';
import type { Decision, StartDecision, StopDecision } from './decision.ts';

export class DecisionDraft {
  readonly snapshot: Snapshot;
  readonly slots: SlotDrafts;
  readonly decisions: Decision[] = [];
  readonly verifyJobs: (StartDecision | StopDecision)[] = [];
  requeueAtMs: number | undefined;
  requeueOnceEnqueuedMs: number | undefined;
  lossMs: number | undefined;
  #missingShare: number | undefined;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    this.slots = new SlotDrafts(snapshot.droplet.slots);
  }

  /** Share of the wanted indices that have no live instance. */
  get missingShare(): number {
    this.#missingShare ??= this.#countMissing();
    return this.#missingShare;
  }

  #countMissing(): number {
    const wanted = wantedIndices(this.snapshot.droplet);
    if (wanted === 0) return 1;
    let live = 0;
    for (const index of this.snapshot.live.keys()) if (index < wanted) live++;
    return 1 - live / wanted;
  }

  /**
   * The answer may change at this time; at the later one if all starts that wait have their jobs. A time that has come (it waits
   * for news by now) is taken as very soon.
   */
  requeueAt(atMs: number, onceEnqueuedMs = atMs): void {
    this.requeueAtMs = this.#sooner(this.requeueAtMs, atMs);
    this.requeueOnceEnqueuedMs = this.#sooner(this.requeueOnceEnqueuedMs, onceEnqueuedMs);
  }

  /** A tick finds the loss of a DEA by itself, and makes due what was on it; this look is for the case that it cannot. */
  requeueAtLoss(atMs: number): void {
    this.lossMs = this.#sooner(this.lossMs, atMs);
    this.requeueAt(atMs);
  }

  #sooner(knownMs: number | undefined, ms: number): number {
    const atMs = Math.max(Math.ceil(ms), this.snapshot.nowMs + 1);
    return knownMs === undefined ? atMs : Math.min(knownMs, atMs);
  }

  /**
   * The answer waits for the end of a hold, which nobody announces: look every few seconds. Every second where it is the
   * pass after an update, which is a matter of a second and need not write to this droplet. More rarely under `mass_loss`: it
   * holds a large part of the fleet for minutes, and a tick makes what was on those DEAs due when it ends.
   */
  requeueSoon(hold?: HoldName): void {
    const { nowMs, settings } = this.snapshot;
    const { dropletLostMs, dropletsAnalysisMs } = settings;
    if (hold === 'update_required') this.requeueAt(nowMs + 1000);
    else if (hold === 'mass_loss') this.requeueAt(nowMs + dropletLostMs);
    else this.requeueAt(nowMs + Math.min(5000, dropletsAnalysisMs / 4));
  }
}

/** Slots while they change: copied on the first change, so that what did not change stays the same object. */
export class SlotDrafts {
  readonly #before: ReadonlyMap<number, Slot>;
  #after: Map<number, Slot> | undefined;

  constructor(before: ReadonlyMap<number, Slot>) {
    this.#before = before;
  }

  get(index: number): Slot | undefined {
    return (this.#after ?? this.#before).get(index);
  }

  /** A copy to change; a new slot of `version` if there is none. */
  edit(index: number, version: string): Slot {
    const known = this.get(index);
    if (known !== undefined && known !== this.#before.get(index)) return known;
    const draft: Slot = known === undefined ? { index, version, crashes: 0, flapping: false } : { ...known };
    this.#own().set(index, draft);
    return draft;
  }

  remove(index: number): void {
    if (this.get(index) !== undefined) this.#own().delete(index);
  }

  all(): Iterable<Slot> {
    return [...(this.#after ?? this.#before).values()];
  }

  some(is: (slot: Slot) => boolean): boolean {
    for (const slot of (this.#after ?? this.#before).values()) if (is(slot)) return true;
    return false;
  }

  /** The next slots, and whether they are others than before. */
  result(): { slots: ReadonlyMap<number, Slot>; changed: boolean } {
    return { slots: this.#after ?? this.#before, changed: this.#after !== undefined };
  }

  #own(): Map<number, Slot> {
    this.#after ??= new Map(this.#before);
    return this.#after;
  }
}
