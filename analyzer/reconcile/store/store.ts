import type { LogEntry } from '../../../common/model/decision-log.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import {
  type CommitResult,
  commitDecisions,
  type DecisionCommit,
} from '../../../common/redis/scripts/droplets/commit-decisions.ts';
import { removeDroplet } from '../../../common/redis/scripts/droplets/remove-droplet.ts';
import type { Logger } from '../../../common/runtime/log/log.ts';
import type { AnalyzerMetrics } from '../../metrics.ts';
import type { Evaluation } from '../evaluation.ts';
import { latenciesOf } from './latency.ts';
import { recordPatch } from './record-patch.ts';
import { severityOf } from './severity.ts';

interface Options {
  redis: Pick<RedisConnections, 'isCluster' | 'keys' | 'scripts'>;
  log: Logger;
  metrics: AnalyzerMetrics;
  policy: PolicySettings;
}

/** `changed`: the record has changed since it was read, so nothing was stored; `failed`: the error is logged. */
export type StoreResult = 'stored' | 'changed' | 'failed';

/** Stores evaluations, each only if its record has not changed since it was read. Returns the result of each. */
export async function store(
  evaluations: readonly Evaluation[],
  options: Options,
): Promise<ReadonlyMap<Evaluation, StoreResult>> {
  const kept = evaluations.filter(({ decided }) => !decided.remove);
  const stored = await Promise.all([
    ...evaluations.filter(({ decided }) => decided.remove).map((evaluation) => remove(evaluation, options)),
    commit(kept, options),
  ]);
  return new Map(stored.flat());
}

type Result = [Evaluation, StoreResult];

async function remove(evaluation: Evaluation, { redis }: Options): Promise<Result[]> {
  const { droplet, nowMs } = evaluation;
  const entry: LogEntry = { atMs: nowMs, droplet: droplet.id, kind: 'removed' };
  const result = await removeDroplet(redis, { droplet, entry });
  return [[evaluation, result === 'removed' ? 'stored' : 'changed']];
}

async function commit(evaluations: readonly Evaluation[], options: Options): Promise<Result[]> {
  const { redis, policy } = options;
  const patches = evaluations.map((evaluation) => recordPatch(evaluation, policy));
  const commits = evaluations.map((evaluation, at): DecisionCommit => {
    const { droplet, decided, nowMs } = evaluation;
    const { set, remove, log } = patches[at] as (typeof patches)[number];
    const { requeueAtMs } = decided;
    return { droplet, nowMs, requeueAtMs, severity: severityOf(evaluation, policy), set, remove, log };
  });
  const results = await commitDecisions(redis, commits);
  return evaluations.map((evaluation, at): Result => {
    const result = results[at] as CommitResult;
    if (result === 'conflict') return [evaluation, 'changed'];
    if (result !== 'stored') {
      options.metrics.notStored.inc();
      options.log.error(
        { event: 'decision_not_stored', droplet: evaluation.droplet.id, problem: result.problem },
        'decision not stored: a Redis key has the wrong type; delete the key named in `problem`',
      );
      return [evaluation, 'failed'];
    }
    for (const { of, reason, ms } of latenciesOf(evaluation, patches[at]?.log ?? [])) {
      options.metrics[of].observe({ reason }, ms / 1000);
    }
    return [evaluation, 'stored'];
  });
}
