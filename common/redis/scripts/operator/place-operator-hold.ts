import { MAX_OPERATOR_HOLDS, type OperatorHold } from '../../../model/operator-hold.ts';
import { decodeCode } from '../replies.ts';
import type { ScriptAccess } from '../scripts.ts';

/** Stores a hold, and removes those that have ended. @returns full if `MAX_OPERATOR_HOLDS` are on */
export async function placeOperatorHold(
  { scripts, keys }: ScriptAccess,
  hold: OperatorHold,
): Promise<'placed' | 'full'> {
  const reply = await scripts.run(
    'place_operator_hold',
    [keys.operatorHolds],
    [hold.id, JSON.stringify(hold), hold.sinceMs, MAX_OPERATOR_HOLDS],
  );
  return decodeCode(reply, 'placed', 'full');
}
