import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** Makes the pass the only one that writes under one hash tag. @param fence `keys.syncPass` or `keys.passOf(slice)` */
export async function fencePass(
  { scripts }: Pick<ScriptAccess, 'scripts'>,
  { fence, pass }: { fence: string; pass: string },
): Promise<'fenced' | 'superseded'> {
  return decodeCode(await scripts.run('fence_pass', [fence], [pass]), 'fenced', 'superseded');
}
