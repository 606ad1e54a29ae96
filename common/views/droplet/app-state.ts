/** The answers to hm9000's questions about apps (contract: hm9000's dialects). Pure. */
import type { ObservedDroplet } from '../../explain/observed-droplet.ts';
import type { AppState } from '../../messages/dialects/hm9000.ts';
import type { Instance } from '../../model/droplet.ts';
import { isListed } from '../../policy/fleet/liveness.ts';
import { effectiveStatesOf } from './droplet-answers.ts';

/**
 * The instances of that version as the heartbeats list them, and the crashes of its slots.
 *
 * @returns undefined if nothing is known of that version, so that the app is left out of the answer
 */
export function appState(view: ObservedDroplet, version: string): AppState | undefined {
  const { droplet } = view;
  const instances = [...effectiveStatesOf(view)].flatMap(([instance, state]): [Instance, string][] => {
    if (instance.version !== version) return [];
    // An instance that ended is shown while its DEA lists it as CRASHED.
    if (state === 'NONE')
      return instance.state === 'CRASHED' && isListed(instance) ? [[instance, 'CRASHED']] : [];
    return [[instance, state]];
  });
  const crashed = [...droplet.slots.values()].filter((slot) => slot.version === version && slot.crashes > 0);
  const isDesired = droplet.desired?.version === version;
  if (instances.length === 0 && crashed.length === 0 && !isDesired) return undefined;
  return {
    droplet: droplet.id,
    version,
    instance_heartbeats: instances
      .toSorted(([a], [b]) => a.index - b.index)
      .map(([{ guid, index, stateTimestampS, dea }, state]) => ({
        ...{ droplet: droplet.id, version, instance: guid, index },
        ...{ state, state_timestamp: stateTimestampS, dea_guid: dea },
      })),
    crash_counts: crashed.map(({ index, crashes, lastCrashMs }) => ({
      ...{ droplet: droplet.id, version, instance_index: index, crash_count: crashes },
      created_at: Math.floor((lastCrashMs ?? view.nowMs) / 1000),
    })),
  };
}
