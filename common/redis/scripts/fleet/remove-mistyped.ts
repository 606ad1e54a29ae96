import type { KeyType } from '../../schema.ts';
import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** Removes a key that has another type than `type`. @returns whether it was removed */
export async function removeMistyped(
  { scripts }: Pick<ScriptAccess, 'scripts'>,
  key: string,
  type: KeyType,
): Promise<boolean> {
  return decodeCode(await scripts.run('remove_mistyped', [key], [type]), 'removed', 'kept') === 'removed';
}
