/** The messages of a DEA (contract: messages in). The order of the keys is part of the contract. */
import type { ExitReason } from '../../../common/model/reasons.ts';
import type { Ended } from './instance.ts';

/** An instance as its messages name it. */
export interface Reported {
  guid: string;
  droplet: string;
  version: string;
  index: number;
  state: string;
  /** The time of its last change of state: epoch seconds, with a fraction. */
  sinceS: number;
}

/** `dea.heartbeat`: entries in the given order, the key `dea` last. */
export function heartbeatText(dea: string, partition: string, instances: Iterable<Reported>): string {
  const droplets = Array.from(instances, ({ guid, droplet, version, index, state, sinceS }) => ({
    cc_partition: partition,
    ...{ droplet, version },
    instance: guid,
    ...{ index, state },
    state_timestamp: sinceS,
  }));
  return JSON.stringify({ droplets, dea });
}

/** `droplet.exited`. `ended` is left out while the instance still runs (an evacuation). */
export function exitedText(
  partition: string,
  instance: Pick<Reported, 'guid' | 'droplet' | 'version' | 'index'>,
  reason: ExitReason,
  ended?: Ended,
  crashTimestampS = Math.floor(Date.now() / 1000),
): string {
  const { guid, droplet, version, index } = instance;
  return JSON.stringify({
    cc_partition: partition,
    ...{ droplet, version },
    instance: guid,
    ...{ index, reason },
    exit_status: ended?.code ?? null,
    exit_description: ended?.problem ?? (ended?.signal ? `ended by ${ended.signal}` : ''),
    ...(reason === 'CRASHED' && { crash_timestamp: crashTimestampS }),
  });
}

/** `dea.shutdown`. */
export function shutdownText(dea: string, droplets: Iterable<string>): string {
  const counts = new Map<string, number>();
  for (const droplet of droplets) counts.set(droplet, (counts.get(droplet) ?? 0) + 1);
  const app_id_to_count = Object.fromEntries(counts);
  return JSON.stringify({ id: dea, ip: '127.0.0.1', version: '0.0.1', app_id_to_count });
}
