import { pairsOf } from '../../records/pairs.ts';
import type { ScriptAccess } from '../scripts.ts';

export interface Watermark {
  ingestor: string;
  /** Where it runs, for people. */
  host: string;
  pid: number;
  nowMs: number;
  /** Every heartbeat delivered to this ingestor before this time is stored. Absent if its backlog is too old. */
  watermarkMs?: number | undefined;
  /** Longest silence of an ingestor that is no gap (ms). */
  gapMs: number;
  /** Longest time between two watermarks of all ingestors within which no heartbeat can be lost (ms). */
  silenceMs: number;
  /** Gaps are kept until there was that much listening time after them (ms). */
  keepGapsMs: number;
  /** The generation of the queue group that this ingestor has joined; absent if none. */
  generation?: number | undefined;
  /** This ingestor may have lost a heartbeat. */
  mayHaveLost: boolean;
  /** This ingestor takes over from others that stand still. */
  mayTakeOver: boolean;
  /** Ingestors that NATS reports gone. */
  gone: readonly string[];
}

/** An ingestor whose share of the messages was taken over. */
export interface TakenOver {
  ingestor: string;
  host: string;
  pid: number;
}

export interface WatermarkResult {
  /** The generation of the queue group that every ingestor must join. */
  generation: number;
  /**
   * Since when ingestors have listened without a gap. Absent if no watermark was stored: none was given, or this ingestor has to
   * join `generation` first.
   */
  sinceMs?: number;
  /** Heartbeats sent before now may be lost. */
  mayBeLost: boolean;
  /** Those of `gone` that had a watermark. */
  removed: string[];
  takenOver: TakenOver[];
}

/** Stores the watermark of an ingestor, removes those of ingestors that are gone, and takes over from those that stand still. */
export async function publishWatermark(
  { scripts, keys }: ScriptAccess,
  watermark: Watermark,
): Promise<WatermarkResult> {
  const { nowMs, ingestor, gapMs, silenceMs, watermarkMs, mayHaveLost, keepGapsMs, generation } = watermark;
  const { host, pid, mayTakeOver, gone } = watermark;
  const reply = await scripts.run(
    'publish_watermark',
    [keys.listening, keys.watermarks, keys.ingestors],
    [
      ...[nowMs, ingestor, gapMs, silenceMs],
      watermarkMs === undefined ? '' : Math.floor(watermarkMs),
      mayHaveLost ? '1' : '',
      keepGapsMs,
      generation ?? '',
      `${host} ${pid}`,
      mayTakeOver ? '1' : '',
      ...gone,
    ],
  );
  const [current, since, mayBeLost, removed, takenOver] = reply as [
    generation: string,
    since: string | null,
    mayBeLost: 1 | null,
    removed: string[],
    takenOver: string[],
  ];
  return {
    generation: Number(current),
    ...(since !== null && { sinceMs: Number(since) }),
    mayBeLost: mayBeLost === 1,
    removed,
    takenOver: pairsOf(takenOver).map(([id, about]) => ({ ingestor: id, ...decodeHostAndPid(about) })),
  };
}

/** @param about host and pid, separated by a space; '' if they are not known */
export function decodeHostAndPid(about: string): { host: string; pid: number } {
  const [, host = '', pid = ''] = /^(.*) (\d+)$/.exec(about) ?? [];
  return { host, pid: Number(pid) };
}
