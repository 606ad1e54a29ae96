import type { Area } from '../mutant.ts';

/** The decision about one droplet. */
export const DECISIONS: Area = {
  name: 'decision',
  tests: ['analyzer/decide', 'analyzer/reconcile', 'common/policy/recheck'],
  mutants: [
    {
      name: 'a given-up slot is started',
      file: 'starts/starts.ts',
      from: 'if (slot !== undefined && isGivenUp(slot, nowMs, settings)) {',
      to: 'if (slot !== undefined && isGivenUp(slot, nowMs, settings) && nowMs < 0) {',
    },
    {
      name: 'a start that did not help is sent again at once',
      file: 'starts/starts.ts',
      from: 'if (draft.snapshot.nowMs >= retryMs) return false;',
      to: 'return false;',
    },
    {
      name: 'a missing slot does not wait for its grace period',
      file: 'starts/starts.ts',
      from: "if (nowMs >= graceMs) return { reason: 'missing' };",
      to: "if (nowMs >= 0) return { reason: 'missing' };",
    },
    {
      name: 'a start is decided under a hold',
      file: 'starts/starts.ts',
      from: 'if (need !== undefined && hold === undefined) recordStart(draft, index, need);',
      to: 'if (need !== undefined) recordStart(draft, index, need);',
    },
    {
      name: 'a stop is decided that the controller refuses',
      file: 'stops/stops.ts',
      from: 'if (!acceptsStop(snapshot.droplet, instance, stays, otherVersionStopping)) continue;',
      to: '',
    },
    {
      name: 'stops of one pass do not count each other',
      file: 'stops/stops.ts',
      from: 'staysRunning = stays;',
      to: '',
    },
    {
      name: 'a start whose instance was listed is still pending',
      file: 'pending/pending.ts',
      from: "if (exit !== undefined || wasListedSince(draft, sent)) return 'helped';",
      to: "if (exit !== undefined) return 'helped';",
    },
    {
      name: 'a start that was sent is over at once',
      file: 'pending/pending.ts',
      from: 'if (nowMs <= expiresMs) {',
      to: 'if (nowMs < 0) {',
    },
    {
      name: 'a start is over although heartbeats of its instance may be missed',
      file: 'pending/pending.ts',
      from: "if (actualNotFresh) return 'actual_not_fresh';",
      to: '',
    },
    {
      name: 'a start that was sent before mass_loss came on is repeated',
      file: 'pending/pending.ts',
      from: 'massLossSinceMs !== undefined && sentMs <= massLossSinceMs',
      to: 'false',
    },
    {
      name: 'an exit of an instance that was there before ends a start',
      file: 'pending/pending.ts',
      from: 'return !(known !== undefined && known.firstListedMs <= sent.atMs) && !isEndOfEvacuated(sent, exit, known);',
      to: 'return !isEndOfEvacuated(sent, exit, known);',
    },
    {
      name: 'a crash of an instance counts twice',
      file: 'decide/exits.ts',
      from: "(other) => other.instance === exit.instance && other.reason === 'CRASHED' && other.n < exit.n,",
      to: '(other) => other.n < 0 && other.instance === exit.instance,',
    },
    {
      name: 'a made-up crash counts at a live slot',
      file: 'decide/exits.ts',
      from: 'if (!wasListed && live.get(exit.index)?.some(isListed)) return false;',
      to: '',
    },
    {
      name: 'an exit is processed before the pass that it waits for',
      file: 'decide/exits.ts',
      from: 'let mustWait = isUpdateRequired;',
      to: 'let mustWait = false;',
    },
    {
      name: 'an instance of a DEA with recent heartbeats is forgotten',
      file: 'decide/forget.ts',
      from: 'if (deas.has(dea) && heartbeatMs >= lostBeforeMs) return Number.POSITIVE_INFINITY;',
      to: '',
    },
    {
      name: 'an instance is forgotten although its loss is not certain',
      file: 'decide/forget.ts',
      from: 'holds.actualNotFresh || isSuspect(snapshot, instance) || isPausedWithItsDea(snapshot, instance);',
      to: 'false;',
    },
    {
      name: 'an exit is forgotten before the instance that it ended',
      file: 'decide/forget.ts',
      from: 'return nowMs < forgetInstanceAtMs(draft, instance);',
      to: 'return false;',
    },
    {
      name: 'a droplet is removed while it runs',
      file: 'decide/forget.ts',
      from: 'if (nowMs < atMs || effectiveStates.size > 0) return false;',
      to: 'if (nowMs < atMs) return false;',
    },
    {
      name: 'a droplet is removed under mass_delete',
      file: 'decide/forget.ts',
      from: 'holds.massDelete ||\n    !missedByPass',
      to: '!missedByPass',
    },
  ],
};
