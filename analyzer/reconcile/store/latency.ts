import type { LogEntry } from '../../../common/model/decision-log.ts';
import { isActiveState } from '../../../common/model/instance-states.ts';
import type { StartReason } from '../../../common/model/reasons.ts';
import type { Evaluation } from '../evaluation.ts';

/** How long it took to detect a lost instance, or to replace it. */
export interface Latency {
  of: 'detection' | 'healing';
  /** Reason of the start. */
  reason: StartReason;
  ms: number;
}

/**
 * Pure: the latencies that a stored evaluation completes.
 *
 * - Detection: from the exit, or from the last heartbeat of the lost instance, to the decision to start its slot. A slot
 *   that was empty because it is new, or because the app was stopped or updated, was not lost.
 * - Healing: from that decision (for a flapping restart: from when it was due) to the first heartbeat of the new
 *   instance.
 *
 * @param log the entries that the evaluation wrote to the decision log
 */
export function latenciesOf(evaluation: Evaluation, log: readonly LogEntry[]): Latency[] {
  const latencies: Latency[] = [];
  for (const entry of log) {
    const { kind, index = 0, atMs } = entry;
    if (kind === 'start') {
      const fromMs = exitMs(evaluation, entry) ?? lostMs(evaluation, entry);
      if (fromMs !== undefined)
        latencies.push(latency('detection', entry.reason as StartReason, atMs - fromMs));
    } else if (kind === 'up' && entry.again === undefined) {
      const start = evaluation.droplet.slots.get(index)?.start;
      if (start === undefined) continue;
      const fromMs = Math.max(start.decidedMs, start.dueMs ?? 0);
      latencies.push(latency('healing', start.reason, atMs - fromMs));
    }
  }
  return latencies;
}

function latency(of: Latency['of'], reason: StartReason, ms: number): Latency {
  return { of, reason, ms: Math.max(0, ms) };
}

/** When the latest exit was received that this evaluation processed for the slot. */
function exitMs({ droplet }: Evaluation, { reason, index, version }: LogEntry): number | undefined {
  if (reason === 'missing') return undefined;
  const processed = droplet.exits.filter(
    (exit) => exit.n > droplet.handledExits && exit.index === index && exit.version === version,
  );
  return processed.length === 0 ? undefined : Math.max(...processed.map(({ atMs }) => atMs));
}

/** The last heartbeat of the instance that the start replaces, if it ran and was lost without an exit or an update. */
function lostMs(
  { droplet }: Evaluation,
  { instance, state = '', lastHeartbeatMs }: LogEntry,
): number | undefined {
  if (lastHeartbeatMs === undefined || !isActiveState(state)) return undefined;
  const hasExited = droplet.exits.some((exit) => exit.instance === instance);
  return hasExited || (droplet.updatedMs ?? 0) > lastHeartbeatMs ? undefined : lastHeartbeatMs;
}
