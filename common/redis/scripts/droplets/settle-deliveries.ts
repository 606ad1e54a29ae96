import { LOG_LENGTH, type LogEntry } from '../../../model/decision-log.ts';
import type { Droplet, Outcome } from '../../../model/droplet.ts';
import { callInChunks, type ShardedAccess } from '../chunks.ts';
import { decodeList, decodeResult, type Problem } from '../replies.ts';
import type { ScriptArgument } from '../scripts.ts';

/** The outcome of a decision, on the record as it was checked. */
export interface Settlement {
  droplet: Pick<Droplet, 'id' | 'rev' | 'settlements'>;
  outcome: Outcome;
  /** The outcome that the record has for this decision, if this one replaces it. */
  replaces?: Outcome;
  entry: LogEntry;
  requeueAtMs: number;
}

/** `conflict`: the record has changed since it was checked, by more than settlements, so it must be checked again. */
export type SettleResult = 'settled' | 'conflict' | Problem;

/** Deliveries of one call. Redis does nothing else meanwhile: for some milliseconds at most. */
const DELIVERIES_PER_CALL = 100;

/**
 * Stores outcomes, each only if nothing but other outcomes has changed in the record since it was checked. Of several nudgers
 * that hold the same job one settles it.
 *
 * @returns a result for each, in order
 */
export function settleDeliveries(
  redis: ShardedAccess,
  settlements: readonly Settlement[],
): Promise<readonly SettleResult[]> {
  const { keys, scripts } = redis;
  const idOf = ({ droplet }: Settlement) => droplet.id;
  return callInChunks(redis, settlements, DELIVERIES_PER_CALL, idOf, async (chunk) => {
    const names: string[] = [];
    const args: ScriptArgument[] = [LOG_LENGTH];
    for (const { droplet, outcome, replaces, entry, requeueAtMs } of chunk) {
      const slice = keys.sliceOf(droplet.id);
      names.push(keys.droplet(droplet.id), keys.due(slice), keys.decisions(slice));
      args.push(droplet.id, droplet.rev - (droplet.settlements ?? 0), outcome.id);
      args.push(replaces === undefined ? '' : JSON.stringify(replaces), JSON.stringify(outcome));
      args.push(requeueAtMs, JSON.stringify(entry));
    }
    const replies = decodeList(await scripts.run('settle_deliveries', names, args));
    return replies.map((reply) => decodeResult(reply, 'settled', 'conflict'));
  });
}
