import { LOG_LENGTH, type LogEntry } from '../../common/model/decision-log.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { RedisConnections } from '../../common/redis/connections.ts';
import { forOneCall } from '../../common/redis/readers.ts';
import type { Logger } from '../../common/runtime/log.ts';
import type { AnalyzerMetrics } from '../metrics.ts';
import type { Evaluation } from './evaluation.ts';
import { latenciesOf } from './latency.ts';
import { recordPatch } from './record-patch.ts';
import { severityOf } from './severity.ts';

interface Options {
  redis: Pick<RedisConnections, 'isCluster' | 'keys' | 'scripts'>;
  log: Logger;
  metrics: AnalyzerMetrics;
  policy: PolicySettings;
}

/** Droplets stored by one call of the script: Redis does nothing else meanwhile, so some milliseconds at most. */
const AT_ONCE = 100;

/** `changed`: the record is not the one that was decided on any more; `failed`: it was logged why. */
export type Stored = 'stored' | 'changed' | 'failed';

/** Stores what looks decided, each only on the very record it decided on. @returns what became of each */
export async function store(
  evaluations: readonly Evaluation[],
  options: Options,
): Promise<ReadonlyMap<Evaluation, Stored>> {
  const kept = evaluations.filter(({ decided }) => !decided.remove);
  const calls = forOneCall(
    options.redis,
    kept.map(({ droplet }) => droplet.id),
    AT_ONCE,
  );
  const stored = await Promise.all([
    ...evaluations.filter(({ decided }) => decided.remove).map((looked) => forget(looked, options)),
    ...calls.map((places) =>
      commit(
        places.map((at) => kept[at] as Evaluation),
        options,
      ),
    ),
  ]);
  return new Map(stored.flat());
}

type Result = [Evaluation, Stored];

async function forget(looked: Evaluation, { redis: { keys, scripts } }: Options): Promise<Result[]> {
  const { droplet, nowMs } = looked;
  const { id, rev } = droplet;
  const slice = keys.sliceOf(id);
  const entry: LogEntry = { atMs: nowMs, droplet: id, kind: 'removed' };
  const removed = await scripts.removeDroplet(
    [keys.droplet(id), keys.due(slice), keys.indexOf(id), keys.decisions(slice), keys.troubled(slice)],
    [id, rev, LOG_LENGTH, JSON.stringify(entry)],
  );
  return [[looked, removed === 1 ? 'stored' : 'changed']];
}

async function commit(evaluations: readonly Evaluation[], options: Options): Promise<Result[]> {
  const { keys, scripts } = options.redis;
  const changes = evaluations.map((looked) => recordPatch(looked, options.policy));
  const results = await scripts.commitDecisions(
    evaluations.flatMap(({ droplet: { id } }) => {
      const slice = keys.sliceOf(id);
      return [keys.droplet(id), keys.due(slice), keys.decisions(slice), keys.troubled(slice)];
    }),
    [
      LOG_LENGTH,
      ...evaluations.flatMap((looked, at) => {
        const { droplet, decided, nowMs } = looked;
        const { set, remove, log } = changes[at] as (typeof changes)[number];
        return [
          ...[droplet.id, droplet.rev, nowMs, decided.requeueAtMs ?? '', severityOf(looked, options.policy)],
          ...[set.length, remove.length, log.length],
          ...set.flat(),
          ...remove,
          ...log.map((entry) => JSON.stringify(entry)),
        ];
      }),
    ],
  );
  return evaluations.map((looked, at): Result => {
    const result = results[at];
    if (result === 0) return [looked, 'changed'];
    if (result !== 1) {
      options.metrics.notStored.inc();
      options.log.error(
        { event: 'decision_not_stored', droplet: looked.droplet.id, problem: result },
        'what was decided could not be stored: somebody has made something else of a key; delete that key',
      );
      return [looked, 'failed'];
    }
    for (const { of, reason, ms } of latenciesOf(looked, changes[at]?.log ?? [])) {
      options.metrics[of].observe({ reason }, ms / 1000);
    }
    return [looked, 'stored'];
  });
}
