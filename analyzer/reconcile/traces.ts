/** Spans of reconciles: one for each reconcile that follows a traced event or that decides something. */
import type { Attributes, Span, SpanContext } from '@opentelemetry/api';
import { readTraceparent } from '../../common/tracing/traceparent.ts';
import {
  ATTRIBUTES,
  failed,
  isTracing,
  type JobTrace,
  jobTrace,
  SPANS,
  startSpan,
} from '../../common/tracing/tracing.ts';
import type { Decision, DecisionResult } from '../decide/decision.ts';
import type { Evaluation } from './evaluation.ts';

/** The traces of the events that make droplets be reconciled, by droplet. */
export type Causes = ReadonlyMap<string, readonly SpanContext[]>;

/** The trace that the jobs of each evaluation carry. */
export type JobTraces = ReadonlyMap<Evaluation, JobTrace>;

/** Decisions that one span lists: one reconcile may stop an app of a thousand instances. */
export const MAX_TRACED_DECISIONS = 32;

/** Where reconciles come from. */
interface Origin {
  /** The traces of the events, if there were any. */
  causes: Causes | undefined;
  /** The heartbeat that changed the record is the cause of a decision that follows within this time. */
  heartbeatWithinMs: number;
  /** When the reconciles began, by this process's wall clock. */
  beganMs: number;
}

/** The events; without one, if something was decided, the recent heartbeat that last changed the record. */
function causesOf(
  { droplet, decided, nowMs }: Evaluation,
  { causes, heartbeatWithinMs }: Origin,
): readonly SpanContext[] {
  const events = causes?.get(droplet.id);
  const heartbeat = droplet.heartbeatTrace;
  if (events !== undefined || heartbeat === undefined || decided.decisions.length === 0) return events ?? [];
  const isRecent = nowMs - heartbeat.atMs <= heartbeatWithinMs;
  const cause = isRecent ? readTraceparent(heartbeat.traceparent) : undefined;
  return cause === undefined ? [] : [cause];
}

/**
 * Enqueues the decisions of evaluations, and ends their spans when that is done.
 *
 * The spans begin only now, with the reconciles' start time, because the decisions determine whether there are any.
 * Reconciles of healthy droplets, which are nearly all, therefore cost nothing.
 */
export async function traceReconciles(
  evaluations: readonly Evaluation[],
  origin: Origin,
  enqueue: (traces: JobTraces | undefined) => Promise<void>,
): Promise<void> {
  if (!isTracing()) return enqueue(undefined);
  const spans = new Map<Evaluation, Span>();
  const traces = new Map<Evaluation, JobTrace>();
  for (const evaluation of evaluations) {
    const { droplet, decided } = evaluation;
    const causes = causesOf(evaluation, origin);
    if (causes.length === 0 && decided.decisions.length === 0) continue;
    const span = startSpan(SPANS.reconcile, attributesOf(droplet.id, decided), causes, origin.beganMs);
    if (span === undefined) continue;
    spans.set(evaluation, span);
    traces.set(evaluation, jobTrace(span));
  }
  try {
    await enqueue(traces);
  } catch (error) {
    for (const span of spans.values()) failed(span, error);
    throw error;
  } finally {
    for (const span of spans.values()) span.end();
  }
}

/** Pure: the attributes of the span of a reconcile. */
export function attributesOf(droplet: string, { decisions }: Pick<DecisionResult, 'decisions'>): Attributes {
  const holds = distinct(decisions, (decision) => (decision.kind === 'held' ? decision.hold : undefined));
  return {
    [ATTRIBUTES.droplet]: droplet,
    [ATTRIBUTES.decided]: decisions.length,
    [ATTRIBUTES.decisions]: decisions.slice(0, MAX_TRACED_DECISIONS).map(({ kind, id }) => `${kind} ${id}`),
    [ATTRIBUTES.reasons]: distinct(decisions, (decision) =>
      'reason' in decision ? decision.reason : undefined,
    ),
    ...(holds.length > 0 && { [ATTRIBUTES.holds]: holds }),
  };
}

function distinct(
  decisions: readonly Decision[],
  select: (decision: Decision) => string | undefined,
): string[] {
  return [...new Set(decisions.map(select).filter((value) => value !== undefined))];
}
