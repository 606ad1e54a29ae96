import type { ScriptAccess } from '../scripts.ts';

export interface Watermark {
  ingestor: string;
  nowMs: number;
  /** Every heartbeat delivered to this ingestor before this time is stored. */
  watermarkMs: number;
  /** Longest silence of an ingestor that is no gap (ms). */
  gapMs: number;
  /** Longest time between two watermarks of all ingestors within which no heartbeat can be lost (ms). */
  silenceMs: number;
  /** This ingestor may have lost a heartbeat. */
  mayHaveLost: boolean;
  /** Ingestors that NATS reports gone. */
  gone: readonly string[];
}

export interface WatermarkResult {
  /** Since when ingestors have listened without a gap. */
  sinceMs: number;
  /** Heartbeats sent before now may be lost. */
  mayBeLost: boolean;
  /** Those of `gone` that had a watermark. */
  removed: string[];
}

/** Stores the watermark of an ingestor, and removes those of ingestors that are gone. */
export async function publishWatermark(
  { scripts, keys }: ScriptAccess,
  { ingestor, nowMs, watermarkMs, gapMs, silenceMs, mayHaveLost, gone }: Watermark,
): Promise<WatermarkResult> {
  const reply = await scripts.run(
    'publish_watermark',
    [keys.listening, keys.watermarks],
    [nowMs, ingestor, gapMs, silenceMs, watermarkMs, mayHaveLost ? '1' : '', ...gone],
  );
  const [since, mayBeLost, ...removed] = reply as [since: string, mayBeLost: 1 | null, ...removed: string[]];
  return { sinceMs: Number(since), mayBeLost: mayBeLost === 1, removed };
}
