import type { UnreadableRecord } from '../../records/record-error.ts';
import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** Removes a record that could not be read, unless a process has written it since. */
export async function removeUnreadable(
  { scripts, keys }: ScriptAccess,
  droplet: string,
  { rev = '' }: Pick<UnreadableRecord, 'rev'>,
): Promise<'removed' | 'kept'> {
  return decodeCode(
    await scripts.run('remove_unreadable', [keys.droplet(droplet)], [rev]),
    'removed',
    'kept',
  );
}
