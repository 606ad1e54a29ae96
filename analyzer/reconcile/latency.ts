import type { LogEntry } from '../../common/model/decision-log.ts';
import type { StartReason } from '../../common/model/droplet.ts';
import type { Evaluation } from './evaluation.ts';

/** How long something took that began with an instance lost, or with a start decided. */
export interface Latency {
  of: 'detection' | 'healing';
  /** Of the start. */
  reason: StartReason;
  ms: number;
}

/**
 * Pure: what a stored look says of how quickly instances are replaced.
 *
 * - Detection: from the exit, or from when the lost instance was last heard, to the decision to start its slot. A slot
 *   that was empty because nothing ran there yet, or because somebody stopped or updated the app, was not lost.
 * - Healing: from that decision (a flapping restart: from when it was due) to the first heartbeat of the new instance.
 *
 * @param log what the look wrote into the decision log
 */
export function latenciesOf(looked: Evaluation, log: readonly LogEntry[]): Latency[] {
  const latencies: Latency[] = [];
  for (const entry of log) {
    const { kind, index = 0, atMs } = entry;
    if (kind === 'start') {
      const fromMs = exitMs(looked, entry) ?? lostMs(looked, entry);
      if (fromMs !== undefined)
        latencies.push(latency('detection', entry.reason as StartReason, atMs - fromMs));
    } else if (kind === 'up' && entry.again === undefined) {
      const start = looked.droplet.slots.get(index)?.start;
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

/** When the latest exit was heard that this look took up for the slot. */
function exitMs({ droplet }: Evaluation, { reason, index, version }: LogEntry): number | undefined {
  if (reason === 'missing') return undefined;
  const fresh = droplet.exits.filter(
    (exit) => exit.n > droplet.handledExits && exit.index === index && exit.version === version,
  );
  return fresh.length === 0 ? undefined : Math.max(...fresh.map(({ atMs }) => atMs));
}

const RAN = ['STARTING', 'RUNNING', 'EVACUATING'];

/** When the instance was last heard that was there until it was heard no more. */
function lostMs(
  { droplet }: Evaluation,
  { instance, state = '', lastHeartbeatMs }: LogEntry,
): number | undefined {
  if (lastHeartbeatMs === undefined || !RAN.includes(state)) return undefined;
  const ended = droplet.exits.some((exit) => exit.instance === instance);
  return ended || (droplet.updatedMs ?? 0) > lastHeartbeatMs ? undefined : lastHeartbeatMs;
}
