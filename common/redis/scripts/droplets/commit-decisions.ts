import { LOG_LENGTH, type LogEntry } from '../../../model/decision-log.ts';
import type { Droplet } from '../../../model/droplet.ts';
import { callInChunks, type ShardedAccess } from '../chunks.ts';
import { decodeList, decodeResult, type Problem } from '../replies.ts';
import type { ScriptArgument } from '../scripts.ts';

/** What was decided about one droplet. */
export interface DecisionCommit {
  droplet: Pick<Droplet, 'id' | 'rev'>;
  /** Time of the decision. */
  nowMs: number;
  /** When to reconcile again; absent: not before something changes. */
  requeueAtMs?: number | undefined;
  /** How badly off the droplet is; 0: nothing is wrong. */
  severity: number;
  /** Fields of its record to set, with their values. */
  set: readonly (readonly [field: string, value: string | number])[];
  /** Fields of its record to delete. */
  remove: readonly string[];
  log: readonly LogEntry[];
}

/** `conflict`: the record has changed since it was read, so it must be read and decided again. */
export type CommitResult = 'stored' | 'conflict' | Problem;

/** Droplets of one call. Redis does nothing else meanwhile: for some milliseconds at most. */
const DROPLETS_PER_CALL = 100;

/**
 * Stores decisions, each only if the record is still the one that was decided on.
 *
 * @returns a result for each, in order
 */
export function commitDecisions(
  redis: ShardedAccess,
  commits: readonly DecisionCommit[],
  logLength = LOG_LENGTH,
): Promise<readonly CommitResult[]> {
  const { keys, scripts } = redis;
  const idOf = ({ droplet }: DecisionCommit) => droplet.id;
  return callInChunks(redis, commits, DROPLETS_PER_CALL, idOf, async (chunk) => {
    const names: string[] = [];
    const args: ScriptArgument[] = [logLength];
    for (const { droplet, nowMs, requeueAtMs = '', severity, set, remove, log } of chunk) {
      const slice = keys.sliceOf(droplet.id);
      names.push(keys.droplet(droplet.id), keys.due(slice), keys.decisions(slice), keys.troubled(slice));
      args.push(droplet.id, droplet.rev, nowMs, requeueAtMs, severity, set.length, remove.length, log.length);
      for (const [field, value] of set) args.push(field, value);
      args.push(...remove);
      for (const entry of log) args.push(JSON.stringify(entry));
    }
    const replies = decodeList(await scripts.run('commit_decisions', names, args));
    return replies.map((reply) => decodeResult(reply, 'stored', 'conflict'));
  });
}
