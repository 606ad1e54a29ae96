/** What happened since the last look: a new version, a `droplet.updated`, exits. Crashes are counted here. */

import { decisionId } from '../../common/model/decision-id.ts';
import type { Droplet, Exit } from '../../common/model/droplet.ts';
import { countCrash, isGivenUp } from '../../common/policy/flapping.ts';
import { updateRequired } from '../../common/policy/holds.ts';
import { isWantedAsLastKnown } from '../../common/policy/wanted.ts';
import type { Scene } from './decision-draft.ts';
import { cancelStart } from './pending.ts';
import { addEvent, type Events } from './start-triggers.ts';

/** Takes all news into account. */
export function takeEvents(scene: Scene): Events {
  const { droplet, holds } = scene.sight;
  const events: Events = {
    crashed: new Set(),
    evacuated: new Set(),
    waiting: new Set(),
    handledExits: droplet.handledExits,
  };
  if (droplet.slots.size > 0) {
    dropOldVersions(scene);
    if (droplet.updatedMs !== droplet.handledUpdateMs) startCountsAgain(scene);
  }
  if (droplet.exits.length === 0) return events;
  const news = droplet.exits.filter((exit) => exit.n > droplet.handledExits).sort((a, b) => a.n - b.n);
  const waits = news.length > 0 && updateRequired(droplet, holds);
  if (waits) scene.lookSoon('update_required');
  for (const exit of news) {
    const concerned = exit.version === droplet.desired?.version;
    if (concerned && isWantedAsLastKnown(droplet, exit.index, holds)) {
      if (waits) events.waiting.add(exit.index);
      else takeExit(scene, exit, events);
    }
    if (!waits) events.handledExits = exit.n;
  }
  return events;
}

function takeExit(scene: Scene, exit: Exit, events: Events): void {
  if (exit.reason === 'CRASHED' && isToBeCounted(scene.sight.droplet, exit)) count(scene, exit);
  addEvent(exit, events);
}

/** The count began again with the latest update; and each instance counts once. */
function isToBeCounted(droplet: Droplet, exit: Exit): boolean {
  if (droplet.updatedMs !== undefined && exit.atMs < droplet.updatedMs) return false;
  return !droplet.exits.some(
    (other) => other.instance === exit.instance && other.reason === 'CRASHED' && other.n < exit.n,
  );
}

function count(scene: Scene, exit: Exit): void {
  const { droplet, now, settings } = scene.sight;
  const before = scene.slots.get(exit.index);
  const wasGivenUp = before !== undefined && isGivenUp(before, now, settings);
  const slot = scene.slots.edit(exit.index, exit.version);
  countCrash(slot, exit, settings);
  if (wasGivenUp || !isGivenUp(slot, now, settings)) return;
  scene.decisions.push({
    kind: 'giveup',
    id: decisionId(droplet, `giveup-${exit.index}`, now),
    index: exit.index,
    version: exit.version,
    crashes: slot.crashes,
  });
}

function dropOldVersions(scene: Scene): void {
  const { droplet } = scene.sight;
  for (const slot of scene.slots.all()) {
    if (slot.version === droplet.desired?.version) continue;
    cancelStart(scene, slot, 'not_wanted');
    scene.slots.remove(slot.index);
  }
}

/** At a `droplet.updated` counts start again, and pending restarts are dropped. */
function startCountsAgain(scene: Scene): void {
  for (const { index, version, crashes, flapping, start } of scene.slots.all()) {
    const restart = start?.reason === 'flapping' && !scene.sight.droplet.outcomes.has(start.id);
    if (crashes === 0 && !flapping && !restart) continue;
    const slot = scene.slots.edit(index, version);
    slot.crashes = 0;
    slot.flapping = false;
    delete slot.lastCrashS;
    delete slot.lastCrashMs;
    if (!restart) continue;
    cancelStart(scene, slot, 'updated');
    delete slot.start;
  }
}
