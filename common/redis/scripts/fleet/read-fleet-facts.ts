import type { ListeningGap } from '../../../model/droplet.ts';
import type { FailoverDetector } from '../../connection/failover-detector.ts';
import { pairsOf } from '../../records/pairs.ts';
import type { ScriptAccess } from '../scripts.ts';
import { decodeHostAndPid, type TakenOver } from './publish-watermark.ts';

/** What the holds of the deployment follow from. Times in ms on Redis's clock. */
export interface FleetFacts {
  /** Ingestors have listened without a gap, from then to then; absent if none ever did. */
  listening?: { sinceMs: number; untilMs: number };
  /** When the first watermark was stored since Redis holds this data. */
  listeningBegunMs?: number;
  /** When no ingestor could receive every heartbeat; oldest first, without overlaps. Absent if there was no gap lately. */
  listeningGaps?: readonly ListeningGap[];
  /** The ingestor that was last taken over from, because it stood still. */
  takenOver?: TakenOver & { atMs: number };
  /** The lowest watermark of all ingestors that have not signed off. */
  lowestWatermarkMs?: number;
  /** Heartbeats sent before this time may be lost; absent if none is known to be. */
  lossPossibleUntilMs?: number;
  /** Begin and end of the latest complete pass; absent before the first. */
  pass?: { begunMs: number; succeededMs: number };
  /** Begin of the latest complete pass that wrote every entry; absent before the first. */
  fullPassBegunMs?: number;
  /** State of the hold `mass_loss`, as JSON. */
  massLoss?: string;
  /** Ticks have evaluated `mass_loss` without a gap, from then to then; absent if none ever did. */
  massLossEvaluated?: { sinceMs: number; untilMs: number; beforeGapMs?: number };
  /** State of the hold `mass_delete`, as JSON. */
  massDelete?: string;
  /** The holds that operators asked for, as JSON; some may have ended. Absent if there is none. */
  operatorHolds?: readonly string[];
  /** A part of the desired state may be lost, and no complete pass has written everything since. */
  desiredStateSuspect?: true;
}

type Values = (string | null)[];

/** One command; in a cluster after a check whether a node has taken over from another. */
export async function readFleetFacts({
  scripts,
  keys,
  failover,
}: ScriptAccess & { readonly failover?: Pick<FailoverDetector, 'check'> | undefined }): Promise<FleetFacts> {
  await failover?.check();
  const reply = await scripts.run(
    'read_fleet_facts',
    [keys.listening, keys.watermarks, keys.syncState, keys.holds, keys.failover, keys.operatorHolds],
    [],
  );
  const [listening, watermark, sync, isSuspect, holds, operatorHolds] = reply as [
    Values,
    string | null,
    Values,
    1 | null,
    Values,
    string[],
  ];
  const [since, until, lossPossibleUntil, gaps, takenOver, takenOverAt, begun] = listening;
  const [completed, succeeded, fullBegun] = sync;
  const [massLoss, massDelete, evaluated] = holds;
  const facts: FleetFacts = {};
  if (since && until) facts.listening = { sinceMs: Number(since), untilMs: Number(until) };
  if (begun) facts.listeningBegunMs = Number(begun);
  const listeningGaps = decodeGaps(gaps ?? '');
  if (listeningGaps.length > 0) facts.listeningGaps = listeningGaps;
  if (takenOver && takenOverAt) facts.takenOver = decodeTakenOver(takenOver, takenOverAt);
  if (watermark) facts.lowestWatermarkMs = Number(watermark);
  if (lossPossibleUntil) facts.lossPossibleUntilMs = Number(lossPossibleUntil);
  if (completed && succeeded) facts.pass = { begunMs: Number(completed), succeededMs: Number(succeeded) };
  if (fullBegun) facts.fullPassBegunMs = Number(fullBegun);
  if (massLoss) facts.massLoss = massLoss;
  if (massDelete) facts.massDelete = massDelete;
  if (evaluated) {
    const [sinceMs = Number.NaN, untilMs = Number.NaN, beforeGapMs] = evaluated.split(' ').map(Number);
    facts.massLossEvaluated = { sinceMs, untilMs, ...(beforeGapMs !== undefined && { beforeGapMs }) };
  }
  if (operatorHolds.length > 0) facts.operatorHolds = pairsOf(operatorHolds).map(([, hold]) => hold);
  if (isSuspect === 1) facts.desiredStateSuspect = true;
  return facts;
}

/** @param text begin and end of each gap (ms), separated by spaces; what is not in this format is left out */
export function decodeGaps(text: string): ListeningGap[] {
  return pairsOf(text.split(' '))
    .map(([from, to]) => ({ fromMs: Number(from), toMs: Number(to) }))
    .filter(({ fromMs, toMs }) => Number.isFinite(fromMs) && Number.isFinite(toMs) && fromMs < toMs);
}

function decodeTakenOver(text: string, at: string): TakenOver & { atMs: number } {
  const [ingestor = '', ...about] = text.split(' ');
  return { ingestor, ...decodeHostAndPid(about.join(' ')), atMs: Number(at) };
}
