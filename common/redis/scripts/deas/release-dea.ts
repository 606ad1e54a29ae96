import type { ScriptAccess } from '../scripts.ts';

/**
 * Lets other DEAs take over the instances of a DEA that sends no heartbeats: if it comes back, its next heartbeat is stored whole.
 *
 * @param instances those that others take over: it gets back what it then lists
 * @param lateBeforeMs it is silent if its last heartbeat was before this time (epoch ms)
 * @returns its last heartbeat (epoch ms) if it is not silent and has not announced its shutdown: nothing was changed then
 */
export async function releaseDea(
  { scripts, keys }: ScriptAccess,
  {
    dea,
    lateBeforeMs,
    instances = [],
  }: { dea: string; lateBeforeMs: number; instances?: readonly { droplet: string; instance: string }[] },
): Promise<'released' | number> {
  const reply = await scripts.run(
    'release_dea',
    [keys.deasLastHeartbeat, keys.deasShutdown, keys.deasDigest, keys.deaList(dea)],
    [dea, Number.isFinite(lateBeforeMs) ? lateBeforeMs : 'inf', instances.map(lineOfInstance).join('')],
  );
  return reply === 'released' ? reply : Number(reply);
}

/** A line of `released`, with its newline. */
export function lineOfInstance({ droplet, instance }: { droplet: string; instance: string }): string {
  return `${droplet}\t${instance}\n`;
}
