import type { ScriptAccess } from '../scripts.ts';

/** Stores that the controller changed a droplet (`droplet.updated`); the latest time stays. */
export async function storeUpdate(
  { scripts, keys }: ScriptAccess,
  { droplet, nowMs }: { droplet: string; nowMs: number },
): Promise<void> {
  await scripts.run(
    'store_update',
    [keys.droplet(droplet), keys.due(keys.sliceOf(droplet)), keys.indexOf(droplet)],
    [droplet, nowMs],
  );
}
