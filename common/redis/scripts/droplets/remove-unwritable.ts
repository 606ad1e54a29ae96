import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** Removes a record that no script can write: its key has the wrong type, or its revision is no count. */
export async function removeUnwritable(
  { scripts, keys }: ScriptAccess,
  droplet: string,
): Promise<'removed' | 'kept'> {
  return decodeCode(await scripts.run('remove_unwritable', [keys.droplet(droplet)], []), 'removed', 'kept');
}
