/** Stops: what is surplus is stopped, each stop as soon as the holds and the controller's own check allow it. */

import { decisionId } from '../../common/model/decision-id.ts';
import type { HoldName, PendingStop } from '../../common/model/droplet.ts';
import { acceptsStop } from '../../common/policy/admission.ts';
import { holdOnStop } from '../../common/policy/holds.ts';
import { countRunning } from '../../common/policy/running-counts.ts';
import {
  doOthersLeave,
  duplicatesWait,
  extraAppDueMs,
  isStopOnItsWay,
  type Surplus,
  stopsOnTheirWay,
  surplus,
} from '../../common/policy/surplus.ts';
import { missedByPass } from '../../common/policy/wanted.ts';
import type { StopDecision } from './decision.ts';
import type { Scene } from './decision-draft.ts';

/** Decides the stops; returns the next ones, the same map if none changed. */
export function decideStops(scene: Scene): ReadonlyMap<string, PendingStop> {
  const { sight } = scene;
  const before = sight.droplet.stops;
  if (before.size === 0 && sight.standings.size === 0) return before;
  const next = new Map<string, PendingStop>();
  const onTheirWay = stopsOnTheirWay(sight);
  for (const guid of onTheirWay) keep(scene, guid, next);
  cancelGone(scene, next);

  let staysRunning = countRunning(sight, onTheirWay);
  let othersLeave = doOthersLeave(sight, onTheirWay);
  for (const found of surplus(sight, onTheirWay)) {
    const { instance, standing } = found;
    const isCurrent = instance.version === sight.droplet.desired?.version;
    const stays = standing === 'RUNNING' && isCurrent ? staysRunning - 1 : staysRunning;
    if (!acceptsStop(sight.droplet, instance, stays, othersLeave)) continue;
    const hold = holdOnStop(sight, found.reason);
    if (hold !== undefined) {
      remember(scene, found, hold, next);
      continue;
    }
    staysRunning = stays;
    othersLeave ||= !isCurrent;
    next.set(instance.guid, order(scene, found));
    scene.look(sight.now + sight.settings.dropletLostMs);
  }
  if (duplicatesWait(sight)) scene.look(sight.now + Math.min(5000, sight.settings.dropletLostMs / 6));
  watchExtraApp(scene);
  return sameAs(before, next) ? before : next;
}

/** The stop is decided. */
function order(scene: Scene, { instance, reason }: Surplus): PendingStop {
  const { droplet, now } = scene.sight;
  const { guid, index, version } = instance;
  const stop = { instance: guid, id: decisionId(droplet, `stop-${guid}`, now), reason, decidedMs: now };
  scene.decisions.push({ kind: 'stop', id: stop.id, instance: guid, index, version, reason });
  return stop;
}

/** Keeps a stop that is on its way, and sees to it that its end, or the loss of its job, is noticed. */
function keep(scene: Scene, guid: string, next: Map<string, PendingStop>): void {
  const { droplet, now, settings } = scene.sight;
  const stop = droplet.stops.get(guid);
  if (stop === undefined) return;
  next.set(guid, stop);
  const outcome = droplet.outcomes.get(stop.id);
  const lostMs = settings.dropletLostMs;
  if (outcome !== undefined) {
    scene.look(outcome.atMs + lostMs + 1);
    return;
  }
  const waited = now - stop.decidedMs;
  if (waited >= lostMs) scene.ensure.push(orderOf(scene, stop));
  scene.look(stop.decidedMs + lostMs * (Math.max(0, Math.floor(waited / lostMs)) + 1));
}

function orderOf({ sight }: Scene, { id, instance, reason }: PendingStop): StopDecision {
  const known = sight.droplet.instances.find(({ guid }) => guid === instance);
  return { kind: 'stop', id, instance, index: known?.index ?? 0, version: known?.version ?? '', reason };
}

/** A stop that waits though its instance is gone by itself. */
function cancelGone(scene: Scene, next: ReadonlyMap<string, PendingStop>): void {
  for (const stop of scene.sight.droplet.stops.values()) {
    if (next.has(stop.instance) || scene.sight.droplet.outcomes.has(stop.id)) continue;
    if (!isStopOnItsWay(scene.sight, stop)) continue;
    const { id, instance, reason } = stop;
    scene.decisions.push({ kind: 'cancel', what: 'stop', id, instance, reason, why: 'gone' });
  }
}

/** Remembers, and says once, that a hold forbids a stop. */
function remember(scene: Scene, found: Surplus, hold: HoldName, next: Map<string, PendingStop>): void {
  const { droplet, now } = scene.sight;
  const { guid, index, version } = found.instance;
  scene.lookSoon(hold);
  const before = droplet.stops.get(guid);
  if (before?.held === hold && before.reason === found.reason) {
    next.set(guid, before);
    return;
  }
  const { reason } = found;
  const id = decisionId(droplet, `hold-${guid}`, now);
  next.set(guid, { instance: guid, id, reason, decidedMs: now, held: hold });
  scene.decisions.push({ kind: 'held', what: 'stop', id, instance: guid, index, version, reason, hold });
}

/** What runs of a droplet that is out of the desired state becomes surplus when the time is over and a pass missed it. */
function watchExtraApp(scene: Scene): void {
  const { sight } = scene;
  if (sight.standings.size === 0) return;
  const dueMs = extraAppDueMs(sight);
  if (dueMs === undefined) return;
  if (sight.now < dueMs) scene.look(dueMs);
  else if (!missedByPass(sight.droplet, sight.holds)) scene.lookSoon();
}

function sameAs(before: ReadonlyMap<string, PendingStop>, next: ReadonlyMap<string, PendingStop>): boolean {
  if (before.size !== next.size) return false;
  for (const [guid, stop] of next) if (before.get(guid) !== stop) return false;
  return true;
}
