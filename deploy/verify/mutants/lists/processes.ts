import type { Area } from '../mutant.ts';

/** Ingestors: watermark, takeover, ownership, and the order of heartbeats. */
export const INGEST: Area = {
  name: 'ingest',
  tests: ['ingest/heartbeats', 'ingest/takeover', 'ingest/main'],
  more: ['deploy/verify/scenarios/heartbeat-orders', 'deploy/verify/scenarios/actual-not-fresh'],
  mutants: [
    {
      name: 'a watermark ignores the backlog',
      file: 'watermark.ts',
      from: 'watermarkMs: Math.min(flushedMs, nowMs - backlogAgeMs),',
      to: 'watermarkMs: flushedMs,',
    },
    {
      name: 'a watermark is of after the round trip to NATS',
      file: 'watermark.ts',
      from: 'watermarkMs: Math.min(flushedMs, nowMs - backlogAgeMs),',
      to: 'watermarkMs: nowMs - backlogAgeMs,',
    },
    {
      name: 'a watermark is published without a round trip to NATS',
      file: 'watermark.ts',
      from: 'await heartbeatBus.flush();\n    this.#member.redisAsked();',
      to: 'this.#member.redisAsked();',
    },
    {
      name: 'an ingestor that is refused another subject than heartbeats leaves the list',
      file: 'message-intake.ts',
      from: '({ subject, subscription }) => subject === SUBJECTS.heartbeat && subscription.isRefused,',
      to: '({ subscription }) => subscription.isRefused,',
    },
    {
      name: 'an ingestor whose subscription is refused publishes a watermark',
      file: 'watermark.ts',
      from: 'if (intake.isRefused) {',
      to: 'if (intake.isRefused && flushedMs < 0) {',
    },
    {
      name: 'an ingestor that has just started takes over',
      file: 'watermark.ts',
      from: 'mayTakeOver: this.#hasPublishedSteadily(nowMs),',
      to: 'mayTakeOver: true,',
    },
    {
      name: 'a lost heartbeat is not reported',
      file: 'watermark.ts',
      from: 'mayHaveLost: losses > this.#recordedLosses,',
      to: 'mayHaveLost: false,',
    },
    {
      name: 'a stopped ingestor stores what waited in it',
      file: 'stall.ts',
      from: 'return !this.#catchingUp;',
      to: 'return true;',
    },
    {
      name: 'an ingestor that was stopped stays in its old group',
      file: 'stall.ts',
      from: 'await this.#options.joinNewest();',
      to: '',
    },
    {
      name: 'an ingestor that answers is removed',
      file: 'peers.ts',
      from: 'if (!(await bus.answers(ingestorSubject(other), { timeoutMs: answerMs }))) killed.push(other);',
      to: 'if ((await bus.answers(ingestorSubject(other), { timeoutMs: answerMs })) !== undefined) killed.push(other);',
    },
    {
      name: 'an ingestor that was taken over from is listed again',
      file: 'peers.ts',
      from: 'const others = new Map([...(isTakenOver ? [] : this.#others), ...listed]);',
      to: 'const others = new Map([...this.#others, ...listed]);',
    },
    {
      name: 'a heartbeat that Redis refuses is dropped',
      file: 'heartbeats/intake.ts',
      from: 'if (isTemporary(error) || this.#refused.waits(dea)) {',
      to: 'if (isTemporary(error)) {',
    },
    {
      name: 'heartbeats that Redis refuses together are dropped',
      file: 'heartbeats/intake.ts',
      from: 'this.#putBack(batch);',
      to: '',
    },
    {
      name: 'two heartbeats of one DEA are stored at once',
      file: 'changed-queue.ts',
      from: 'if (this.#storing.has(dea)) continue;',
      to: '',
    },
    {
      name: 'a heartbeat is compared with the one before that which is being stored',
      file: 'changed-queue.ts',
      from: 'return this.#tickets.has(dea) || this.#storing.has(dea);',
      to: 'return this.#tickets.has(dea);',
    },
    {
      name: 'a heartbeat is compared with the one before that which was compared with it',
      file: 'heartbeats/intake.ts',
      from: 'heartbeats.length === 1 && !this.#changed.isBusyWith(dea)',
      to: 'heartbeats.length === 1',
    },
    {
      name: 'a heartbeat overtakes one that waits to be compared',
      file: 'heartbeats/intake.ts',
      from: 'if (this.#changed.isBusyWith(dea) && !this.#batch.has(dea)) {',
      to: 'if (this.#changed.isBusyWith(dea)) {',
    },
    {
      name: 'a heartbeat that lists less replaces a fuller one',
      file: 'heartbeats/waiting.ts',
      from: 'return bytes.length >= older.bytes.length || countInstances(bytes) >= countInstances(older.bytes);',
      to: 'return bytes.length >= 0 || older.bytes.length >= 0;',
    },
    {
      name: 'every claim of an instance applies',
      file: 'claims.ts',
      from: 'if (isOwn(claim)) return true;',
      to: 'if (claim.instance !== undefined) return true;',
    },
    {
      name: 'an owner does not get back what others took over',
      file: 'claims.ts',
      from: 'if (isOwn(claim)) return true;',
      to: '',
    },
    {
      name: 'a claim with another index applies to a late owner',
      file: 'claims.ts',
      from: 'if (lastHeartbeatMs == null || holds.operatorHolds?.some((hold) => hold.dea === dea)) return false;',
      to: 'if (lastHeartbeatMs !== undefined) return true;',
    },
    {
      name: 'owners are not stored whole after their claims were applied',
      file: 'apply-claims.ts',
      from: 'await releaseOwners(redis, at, granted);',
      to: '',
    },
    {
      name: 'droplets of a DEA that is back do not become due',
      file: 'store-changed.ts',
      from: 'const markDue = isBack || begun.hasUnfinished || begun.isSuspect;',
      to: 'const markDue = begun.hasUnfinished || begun.isSuspect;',
    },
    {
      name: 'a heartbeat after unfinished ones sets no fence',
      file: 'store-changed.ts',
      from: 'fence: begun.hasUnfinished,',
      to: 'fence: false,',
    },
    {
      name: 'a heartbeat of which something was rejected stores its digest',
      file: 'store-changed.ts',
      from: "digest: isRefused ? '' : digest,",
      to: 'digest,',
    },
  ],
};

/** Analyzers and nudgers: conflicts, lost DEAs, the recheck and the time of a send. */
export const DELIVERY: Area = {
  name: 'analyzer and nudger',
  tests: ['analyzer/reconcile', 'analyzer/tick', 'common/queues', 'nudger'],
  more: ['deploy/verify/scenarios/mass-loss', 'deploy/verify/scenarios/several-copies'],
  mutants: [
    {
      name: 'a droplet whose record has changed is not decided again',
      file: 'reconciler.ts',
      from: ".filter((evaluation) => results.get(evaluation) === 'changed')",
      to: ".filter((evaluation) => results.get(evaluation) === 'failed')",
    },
    {
      name: 'jobs of decisions are added that were not stored',
      file: 'reconciler.ts',
      from: "const stored = evaluations.filter((evaluation) => results.get(evaluation) === 'stored');",
      to: 'const stored = evaluations.filter((evaluation) => results.has(evaluation));',
    },
    {
      name: 'DEAs are marked as lost under actual_not_fresh',
      file: 'tick.ts',
      from: 'if (!holds.actualNotFresh) await markLostDeas',
      to: 'await markLostDeas',
    },
    {
      name: 'mass_loss counts made-up copies of instances',
      file: 'wanted-slots.ts',
      from: 'return !droplet.instances.some((other) => isEarlier(other, instance));',
      to: 'return true;',
    },
    {
      name: 'mass_loss counts instances that have exited',
      file: 'wanted-slots.ts',
      from: 'if (exit !== undefined && isExitInForce(exit, dea.lastHeartbeatMs, settings)) return false;',
      to: '',
    },
    {
      name: 'the audit trusts the due list for ever',
      file: 'audit/audit-misses.ts',
      from: 'if (dueMs != null && Number(dueMs) < evaluation.nowMs - settings.dropletLostMs) return false;',
      to: '',
    },
    {
      name: 'a job that has ended and is kept blocks its id',
      file: 'queues/lost-jobs.ts',
      from: "new Set(['unknown', 'failed', 'completed'])",
      to: "new Set(['unknown'])",
    },
    {
      name: 'an evacuated instance holds the slot of the one that replaced it',
      file: 'wanted-slots.ts',
      from: 'isLiveState(other.state) &&',
      to: '',
    },
    {
      name: 'what the latest heartbeat of a late DEA left out counts for nothing',
      file: 'wanted-slots.ts',
      from: '(await delistedDroplets(redis, dea.guid))',
      to: '[]',
    },
    {
      name: 'an index entry without a record is removed before a full pass',
      file: 'repairs/lost-records.ts',
      from: '} else if (fullPassBegunMs > notedMs) {',
      to: '} else if (notedMs > 0) {',
    },
    {
      name: 'a start or stop is sent without its outcome',
      file: 'deliver.ts',
      from: 'if (!(await settle(delivery, result, droplet, nowMs, options))) continue;',
      to: 'await settle(delivery, result, droplet, nowMs, options);',
    },
    {
      name: 'a start or stop is sent long after its recheck',
      file: 'deliver.ts',
      from: 'if (clock.nowMs() - nowMs > sendDeadlineMs(policy)) {',
      to: 'if (clock.nowMs() < 0) {',
    },
    {
      name: 'a start or stop is sent while NATS is away',
      file: 'deliver.ts',
      from: 'if (!(await gate.waitUntilConnected())) return { requeue: true };',
      to: 'await gate.waitUntilConnected();',
    },
    {
      name: 'dry_run sends',
      file: 'deliver.ts',
      from: 'if (dryRun) {',
      to: 'if (dryRun && subject === undefined) {',
    },
  ],
};
