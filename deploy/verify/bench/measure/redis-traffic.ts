import type { Stage } from '../stage/stage.ts';

/** What Redis has done since it started. Counts do not depend on the machine, so they show what a change saves or costs. */
interface Traffic {
  /** Commands, also those inside scripts. */
  commands: number;
  /** Packets that were read: a pipeline is one, as are the commands of one turn of an event loop. */
  packets: number;
}

/** Counts the traffic of Redis from now on; the reads of the counts themselves are in it. Not for a cluster. */
export async function countTraffic(stage: Stage): Promise<() => Promise<Traffic>> {
  const before = await readTraffic(stage);
  return async () => {
    const now = await readTraffic(stage);
    return { commands: now.commands - before.commands, packets: now.packets - before.packets };
  };
}

async function readTraffic({ redis }: Stage): Promise<Traffic> {
  const info = await redis.client.info('stats');
  const count = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);
  return { commands: count('total_commands_processed'), packets: count('total_reads_processed') };
}
