import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';
import { type ExitResult, exitCall, type ReceivedExit } from './store-exit.ts';

/**
 * Stores that an instance ended, and appends an event to the stream of its slice. Not for a cluster.
 *
 * @param event its fields and values
 * @param streamLength about how many events the stream keeps
 * @returns known if that exit is stored already, and still stands: no event is appended then
 */
export async function storeExitWithEvent(
  { scripts, keys }: ScriptAccess,
  exit: ReceivedExit,
  { event, streamLength }: { event: readonly string[]; streamLength: number },
): Promise<ExitResult> {
  const { names, args } = exitCall(keys, exit);
  const reply = await scripts.run(
    'store_exit_with_event',
    [...names, keys.events(keys.sliceOf(exit.droplet))],
    [...args, streamLength, ...event],
  );
  return decodeCode(reply, 'stored', 'known');
}
