/** Messages in the dialects of hm9000 (contract: hm9000's dialects). Their keys are in the order that hm9000 had. */
import type { StopReason } from '../../model/reasons.ts';
import type { StartMessage, StopMessage } from '../outgoing.ts';

/** Stops of an index that stays wanted. The controller refuses to stop such an instance unless it is told that it is a duplicate. */
const OF_DUPLICATES: ReadonlySet<StopReason> = new Set<StopReason>(['duplicate', 'evacuation_complete']);

/** Payload of `hm9000.start`, and body of the request for a start. @param id of the decision */
export function hm9000Start({ droplet, version, index }: StartMessage, id: string): string {
  return JSON.stringify({ message_id: id, droplet, version, instance_index: index });
}

/** Payload of `hm9000.stop`, and body of the request for a stop. @param id of the decision */
export function hm9000Stop(
  { droplet, instances, index }: StopMessage,
  reason: StopReason,
  id: string,
): string {
  const [instance, version] = instances[0];
  return JSON.stringify({
    message_id: id,
    droplet,
    version,
    instance_guid: instance,
    instance_index: index,
    is_duplicate: OF_DUPLICATES.has(reason),
  });
}

/** One app in a reply to `app.state`, `app.state.bulk` and `POST /bulk_app_state`. */
export interface AppState {
  droplet: string;
  version: string;
  instance_heartbeats: {
    droplet: string;
    version: string;
    instance: string;
    index: number;
    state: string;
    state_timestamp: number;
    dea_guid: string;
  }[];
  crash_counts: {
    droplet: string;
    version: string;
    instance_index: number;
    crash_count: number;
    created_at: number;
  }[];
}
