/** Whether it is known what runs, and if not, why. Pure. */
import { formatDuration } from '../explain/wording.ts';
import type { PolicySettings } from '../policy/settings.ts';
import { kindOf, kindsWithoutNats, type ProcessesView } from './processes.ts';

/** It is not known what runs. Times are epoch ms. */
export interface UnknownActual {
  /** Since when no heartbeat is stored; absent: heartbeats are stored again, or never were. */
  sinceMs?: number;
  /** Since when heartbeats are stored again, and when every DEA will have sent one. */
  againSinceMs?: number;
  knownAtMs?: number;
  /** Wanted slots with a live instance when it was last known. */
  ranThen?: number;
  /** Why: `NATS is away`. */
  cause: string;
}

/** Watermarks come four times a second: older ones show an outage, before it is a gap. */
const STALE_MS = 3_000;

interface Facts {
  nowMs: number;
  /** The hold `actual_not_fresh` is on. */
  actualNotFresh: boolean;
  listening: { sinceMs: number; untilMs: number } | undefined;
  lowestWatermarkMs: number | undefined;
  processes: ProcessesView;
  /** Wanted slots with a live instance by the latest audits; they count nothing as lost while nobody listens. */
  running: number;
}

/** @returns undefined while it is known what runs */
export function unknownActual(
  { nowMs, actualNotFresh, listening, lowestWatermarkMs, processes, running }: Facts,
  { dropletLostMs }: Pick<PolicySettings, 'dropletLostMs'>,
): UnknownActual | undefined {
  const isWorking = kindOf(processes, 'ingest').working > 0;
  if (listening === undefined)
    return actualNotFresh ? { cause: causeOf(processes, 'no heartbeat was received yet') } : undefined;
  const untilMs = Math.min(listening.untilMs, lowestWatermarkMs ?? listening.untilMs);
  const isHearing = nowMs - untilMs <= STALE_MS;
  if (!isHearing && (actualNotFresh || !isWorking)) {
    const cause = causeOf(processes, 'the ingestors store no heartbeats');
    return { sinceMs: untilMs, ranThen: running, cause };
  }
  if (!actualNotFresh) return undefined;
  const { sinceMs } = listening;
  return {
    ...{ againSinceMs: sinceMs, knownAtMs: sinceMs + dropletLostMs },
    ...(running > 0 && { ranThen: running }),
    cause: 'every DEA must send a heartbeat first',
  };
}

function causeOf(processes: ProcessesView, otherwise: string): string {
  const { copies, working } = kindOf(processes, 'ingest');
  if (copies === 0) return 'no ingest process runs';
  if (working > 0) return otherwise;
  if (kindsWithoutNats(processes).includes('ingest')) return 'NATS is away';
  const ingestors = processes.running.filter(({ kind }) => kind === 'ingest');
  const parts = ingestors.flatMap(({ problems }) => Object.keys(problems ?? {}));
  if (parts.some((part) => part.startsWith('redis'))) return 'Redis refuses writes';
  return 'the ingest processes are starting';
}

/** `Not known what runs: no heartbeats for 13 s (12 ran then); NATS is away.` */
export function unknownText(
  { sinceMs, againSinceMs, knownAtMs, ranThen, cause }: UnknownActual,
  nowMs: number,
): string {
  const age = (ms: number) => formatDuration(Math.max(0, Math.ceil((nowMs - ms) / 1000)) * 1000);
  const ran = ranThen === undefined ? '' : ` (${ranThen} ran then)`;
  if (sinceMs !== undefined) return `Not known what runs: no heartbeats for ${age(sinceMs)}${ran}; ${cause}.`;
  if (againSinceMs === undefined || knownAtMs === undefined) return `Not known yet what runs: ${cause}.`;
  const left = Math.max(0, Math.ceil((knownAtMs - nowMs) / 1000)) * 1000;
  const known = left === 0 ? 'known in a moment' : `known in ${formatDuration(left)}`;
  return `Not known yet what runs${ran}: heartbeats are received again for ${age(againSinceMs)}, ${known}; ${cause}.`;
}
