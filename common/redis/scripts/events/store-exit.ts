import type { Exit } from '../../../model/droplet.ts';
import { encodeReceivedExit } from '../../records/record-codec.ts';
import { decodeCode } from '../replies.ts';
import type { ScriptAccess, ScriptArgument } from '../scripts.ts';

/** A `droplet.exited` as it was received. */
export interface ReceivedExit {
  droplet: string;
  exit: Omit<Exit, 'n'>;
  nowMs: number;
  /** How long an exit stands against heartbeats (ms). */
  standsMs: number;
}

export type ExitResult = 'stored' | 'known';

/** Stores that an instance ended. @returns known if that exit is stored already, and still stands */
export async function storeExit({ scripts, keys }: ScriptAccess, exit: ReceivedExit): Promise<ExitResult> {
  const { names, args } = exitCall(keys, exit);
  return decodeCode(await scripts.run('store_exit', names, args), 'stored', 'known');
}

/** The keys and arguments of both scripts. */
export function exitCall(
  keys: ScriptAccess['keys'],
  { droplet, exit, nowMs, standsMs }: ReceivedExit,
): { names: string[]; args: ScriptArgument[] } {
  return {
    names: [keys.droplet(droplet), keys.due(keys.sliceOf(droplet)), keys.indexOf(droplet)],
    args: [droplet, exit.instance, encodeReceivedExit(exit), nowMs, exit.reason, standsMs],
  };
}
