/** Starts: which slot needs one now, and why. (From then on: pending.ts.) */
import type { Slot } from '../../common/model/droplet.ts';
import { isGivenUp, restartDueMs } from '../../common/policy/flapping.ts';
import { holdOnStart } from '../../common/policy/holds.ts';
import { heardMs } from '../../common/policy/liveness.ts';
import { hasHadItsTimeMs, isWanted, isWantedAsLastKnown, wantedIndices } from '../../common/policy/wanted.ts';
import type { Scene } from './decision-draft.ts';
import { lift, type Need, order, settleStart } from './pending.ts';
import { setHeld, tidySlot } from './slots.ts';
import type { Events } from './start-triggers.ts';

/** Decides the starts of all slots. */
export function decideStarts(scene: Scene, events: Events): void {
  const { sight, slots } = scene;
  const wanted = wantedIndices(sight.droplet);
  for (const slot of slots.all()) settleStart(scene, slot, events);
  for (let index = 0; index < wanted; index++) {
    if (sight.live.has(index)) watchSilence(scene, index);
    else decideStart(scene, index, events);
  }
  if (wanted === 0 && sight.droplet.goneMs !== undefined && sight.holds.massDelete) {
    for (const index of indicesOf(scene, events)) {
      const asBefore = isWantedAsLastKnown(sight.droplet, index, sight.holds);
      if (asBefore && !sight.live.has(index)) decideStart(scene, index, events);
    }
  }
  for (const slot of slots.all()) tidySlot(scene, slot);
}

/** Of a droplet that only `mass_delete` keeps: the slots to which something happened. */
function indicesOf({ sight, slots }: Scene, events: Events): Set<number> {
  const known = [...slots.all()].map(({ index }) => index);
  return new Set([
    ...known,
    ...events.crashed,
    ...events.evacuated,
    ...events.waiting,
    ...sight.evacuating.keys(),
  ]);
}

/** Decides about a slot without a live instance. */
function decideStart(scene: Scene, index: number, events: Events): void {
  const { sight, slots } = scene;
  const { now, settings } = sight;
  const slot = slots.get(index);
  if (slot !== undefined && isGivenUp(slot, now, settings)) {
    scene.look((slot.lastCrashMs ?? now) + settings.flappingTimeoutMs + 1);
    setHeld(scene, index, undefined);
    return;
  }
  const evacuated = events.evacuated.has(index) || sight.evacuating.has(index);
  if (slot?.start !== undefined) {
    if (evacuated) lift(scene, slot, slot.start);
    return;
  }
  const need = neededStart(scene, index, slot, events, evacuated);
  const hold = need === undefined ? undefined : holdOnStart(sight, need.reason, index);
  if (need === undefined || hold === undefined) setHeld(scene, index, undefined);
  else setHeld(scene, index, { hold, reason: need.reason });
  if (need !== undefined && hold === undefined) order(scene, index, need);
}

/** The start that the slot needs, and why; undefined if none, or not yet. */
function neededStart(
  scene: Scene,
  index: number,
  slot: Slot | undefined,
  events: Events,
  evacuated: boolean,
): Need | undefined {
  const { droplet, now, settings } = scene.sight;
  const heldFor = slot?.heldFor;
  const crashed = events.crashed.has(index) || heldFor === 'crashed';
  if (slot?.flapping) {
    // Also without news of a crash: its answer may have been dropped, or it came while a start was on its way.
    const dueMs = restartDueMs(droplet.id, slot, settings);
    if (crashed || heldFor === 'flapping' || now < dueMs) return { reason: 'flapping', dueMs };
  }
  if (evacuated || heldFor === 'evacuated') return { reason: 'evacuated' };
  if (crashed) return { reason: 'crashed' };
  if (events.waiting.has(index)) return { reason: 'crashed' };
  if (!isWanted(droplet, index)) return undefined;
  const timeMs = hasHadItsTimeMs(droplet, index, settings);
  if (now >= timeMs) return { reason: 'missing' };
  scene.look(timeMs);
  return undefined;
}

/** A live instance whose DEA is silent already, or not known yet, will be lost if the DEA stays so. */
function watchSilence(scene: Scene, index: number): void {
  const { live, deas, now, settings } = scene.sight;
  for (const instance of live.get(index) ?? []) {
    if (instance.lastListedMs !== undefined) continue;
    const silentMs = now - heardMs(instance, deas);
    const lossMs = now - silentMs + settings.dropletLostMs + 1;
    if (!deas.has(instance.dea)) scene.look(lossMs);
    else if (silentMs > settings.dropletLostMs / 2) scene.lookAtLoss(lossMs);
  }
}
