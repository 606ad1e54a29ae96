/** What happened since the last look: a new version, a `droplet.updated`, exits. Crashes are counted here. */

import { decisionId } from '../../common/model/decision-id.ts';
import type { Droplet, Exit } from '../../common/model/droplet.ts';
import { countCrash, isGivenUp } from '../../common/policy/flapping.ts';
import { updateRequired } from '../../common/policy/holds.ts';
import { isWantedIgnoringMassDelete } from '../../common/policy/wanted.ts';
import type { DecisionDraft } from './decision-draft.ts';
import { cancelStart } from './pending.ts';
import { addTrigger, type StartTriggers } from './start-triggers.ts';

/** Takes all news into account. */
export function processEvents(draft: DecisionDraft): StartTriggers {
  const { droplet, holds } = draft.snapshot;
  const events: StartTriggers = {
    crashed: new Set(),
    evacuated: new Set(),
    waiting: new Set(),
    handledExits: droplet.handledExits,
  };
  if (droplet.slots.size > 0) {
    dropOldVersions(draft);
    if (droplet.updatedMs !== droplet.handledUpdateMs) startCountsAgain(draft);
  }
  if (droplet.exits.length === 0) return events;
  const news = droplet.exits.filter((exit) => exit.n > droplet.handledExits).sort((a, b) => a.n - b.n);
  const waits = news.length > 0 && updateRequired(droplet, holds);
  if (waits) draft.requeueSoon('update_required');
  for (const exit of news) {
    const concerned = exit.version === droplet.desired?.version;
    if (concerned && isWantedIgnoringMassDelete(droplet, exit.index, holds)) {
      if (waits) events.waiting.add(exit.index);
      else processExit(draft, exit, events);
    }
    if (!waits) events.handledExits = exit.n;
  }
  return events;
}

function processExit(draft: DecisionDraft, exit: Exit, events: StartTriggers): void {
  if (exit.reason === 'CRASHED' && isToBeCounted(draft.snapshot.droplet, exit)) count(draft, exit);
  addTrigger(exit, events);
}

/** The count began again with the latest update; and each instance counts once. */
function isToBeCounted(droplet: Droplet, exit: Exit): boolean {
  if (droplet.updatedMs !== undefined && exit.atMs < droplet.updatedMs) return false;
  return !droplet.exits.some(
    (other) => other.instance === exit.instance && other.reason === 'CRASHED' && other.n < exit.n,
  );
}

function count(draft: DecisionDraft, exit: Exit): void {
  const { droplet, nowMs, settings } = draft.snapshot;
  const before = draft.slots.get(exit.index);
  const wasGivenUp = before !== undefined && isGivenUp(before, nowMs, settings);
  const slot = draft.slots.edit(exit.index, exit.version);
  countCrash(slot, exit, settings);
  if (wasGivenUp || !isGivenUp(slot, nowMs, settings)) return;
  draft.decisions.push({
    kind: 'giveup',
    id: decisionId(droplet, `giveup-${exit.index}`, nowMs),
    index: exit.index,
    version: exit.version,
    crashes: slot.crashes,
  });
}

function dropOldVersions(draft: DecisionDraft): void {
  const { droplet } = draft.snapshot;
  for (const slot of draft.slots.all()) {
    if (slot.version === droplet.desired?.version) continue;
    cancelStart(draft, slot, 'not_wanted');
    draft.slots.remove(slot.index);
  }
}

/** At a `droplet.updated` counts start again, and pending restarts are dropped. */
function startCountsAgain(draft: DecisionDraft): void {
  for (const { index, version, crashes, flapping, start } of draft.slots.all()) {
    const restart = start?.reason === 'flapping' && !draft.snapshot.droplet.outcomes.has(start.id);
    if (crashes === 0 && !flapping && !restart) continue;
    const slot = draft.slots.edit(index, version);
    slot.crashes = 0;
    slot.flapping = false;
    delete slot.lastCrashS;
    delete slot.lastCrashMs;
    if (!restart) continue;
    cancelStart(draft, slot, 'updated');
    delete slot.start;
  }
}
