/** The data of an app's page: the droplet with its slots, instances, DEAs and story. */

import { factsOf } from '../../../common/explain/facts.ts';
import { readLog } from '../../../common/explain/log/read-log.ts';
import type { ObservedDroplet } from '../../../common/explain/observed-droplet.ts';
import { type Present, presentOf } from '../../../common/explain/present/present.ts';
import { desiredText } from '../../../common/explain/sentences/desired.ts';
import { shownStory } from '../../../common/explain/shown/shown-story.ts';
import type { Instance } from '../../../common/model/droplet.ts';
import { type Deas, lastHeartbeatMs } from '../../../common/policy/fleet/liveness.ts';
import { readHolds } from '../../../common/redis/fleet/holds/holds.ts';
import { readProcessesView, waitForNudger } from '../../../common/views/read-processes.ts';
import type { LiveSources } from '../live/live-feed.ts';
import { PLACEHOLDER_TIMES, placeholderOptions } from '../time-placeholders.ts';
import type { DropletPage, Place } from '../types.ts';

/** Lines of the story; `hm explain` shows older ones. */
const MAX_LINES = 200;
/** Slots in the reply; healthy ones are left out first. */
const MAX_SLOTS = 200;

/** @returns undefined if there is neither a record nor an entry of the decision log */
export async function readDropletPage(
  sources: Pick<LiveSources, 'redis' | 'clock' | 'policy' | 'reader'>,
  id: string,
): Promise<DropletPage | undefined> {
  const { redis, clock, policy, reader } = sources;
  const [{ droplets, deas, nowMs, lostBeforeMs }, log, holds, processes] = await Promise.all([
    reader.read([id]),
    readLog(redis, id, MAX_LINES),
    readHolds(redis, clock, policy),
    readProcessesView(redis, clock.nowMs()),
  ]);
  const [droplet] = droplets;
  if (droplet instanceof Error) throw droplet;
  if (droplet === undefined && log.entries.length === 0) return undefined;
  const view = droplet === undefined ? undefined : { droplet, deas, nowMs, lostBeforeMs, settings: policy };
  const facts = factsOf(log.entries, view);
  const story = shownStory(facts, droplet?.desired?.version, placeholderOptions(policy));
  const reachesBack = droplet !== undefined && (log.reachesBackToMs ?? 0) <= droplet.firstSeenMs;
  return {
    droplet: id,
    nowMs,
    ...(view === undefined
      ? {}
      : { record: recordOf(view, presentOf(view, holds, PLACEHOLDER_TIMES, waitForNudger(processes))) }),
    story: story.slice(0, MAX_LINES),
    cut: log.more || story.length > MAX_LINES || (log.full && !reachesBack),
  };
}

function recordOf({ droplet, deas }: ObservedDroplet, present: Present): NonNullable<DropletPage['record']> {
  const { firstSeenMs, desired, updatedMs, goneMs } = droplet;
  const { wanted, running } = present;
  const isGood = (tone: string) => (tone === 'good' ? 1 : 0);
  // The sort is stable, so healthy and unhealthy slots stay in the order of their indices.
  const shown = [...present.slots].sort((a, b) => isGood(a.tone) - isGood(b.tone)).slice(0, MAX_SLOTS);
  return {
    firstSeenMs,
    ...(desired === undefined ? {} : { desired: desiredText(desired), version: desired.version }),
    ...(updatedMs === undefined ? {} : { updatedMs }),
    ...(goneMs === undefined ? {} : { goneMs }),
    wanted,
    running,
    slots: shown
      .sort((a, b) => a.index - b.index)
      .map(({ index, state, tone, text, absent, instances }) => ({
        ...{ index, state, tone, text },
        ...(absent === undefined ? {} : { absent }),
        places: instances.map((instance) => placeOf(instance, deas)),
      })),
    moreSlots: present.slots.length - shown.length,
    others: present.others
      .slice(0, MAX_SLOTS)
      .map(({ instance, text, tone }) => ({ place: placeOf(instance, deas), text, tone })),
    holds: present.holds.map(({ name, text }) => ({ hold: name, text })),
  };
}

export function placeOf(instance: Instance, deas: Deas): Place {
  const { guid, index, version, state, dea, firstListedMs } = instance;
  return {
    instance: guid,
    index,
    version,
    state,
    dea,
    firstListedMs,
    lastHeartbeatMs: lastHeartbeatMs(instance, deas),
  };
}
