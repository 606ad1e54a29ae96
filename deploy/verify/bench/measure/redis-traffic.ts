import { Cluster } from 'ioredis';
import type { Stage } from '../stage/stage.ts';

/** What Redis has done since it started. Counts do not depend on the machine, so they show what a change saves or costs. */
interface Traffic {
  /** Commands, also those inside scripts. */
  commands: number;
  /** Packets that were read: a pipeline is one, as are the commands of one turn of an event loop. */
  packets: number;
}

/** Counts the traffic of Redis from now on; the reads of the counts themselves are in it. */
export async function countTraffic(stage: Stage): Promise<() => Promise<Traffic>> {
  const before = await readTraffic(stage);
  return async () => {
    const now = await readTraffic(stage);
    return { commands: now.commands - before.commands, packets: now.packets - before.packets };
  };
}

/** The sum over the nodes of a cluster. */
async function readTraffic({ redis }: Stage): Promise<Traffic> {
  const nodes = redis.client instanceof Cluster ? redis.client.nodes('master') : [redis.client];
  const infos = await Promise.all(nodes.map((node) => node.info('stats')));
  const count = (name: string) =>
    infos.reduce((sum, info) => sum + Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]), 0);
  return { commands: count('total_commands_processed'), packets: count('total_reads_processed') };
}
