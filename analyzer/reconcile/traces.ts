/** The spans of reconciles: of each that an event with a trace led to, and of each other one that decided something. */
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

/** Droplet -> where the traces were that lead to its being looked at. */
export type Causes = ReadonlyMap<string, readonly SpanContext[]>;

/** What the jobs of a look carry. */
export type JobTraces = ReadonlyMap<Evaluation, JobTrace>;

/** A span tells so many decisions; an app of a thousand instances may be stopped in one look. */
export const MAX_TRACED_DECISIONS = 32;

/** A look that no event led to and that decides something goes on from the heartbeat that last changed the record, if that is so new. */
function causesOf(
  { droplet, decided, nowMs }: Evaluation,
  { causes, heardWithinMs }: From,
): readonly SpanContext[] {
  const known = causes?.get(droplet.id);
  const heard = droplet.heardTrace;
  if (known !== undefined || heard === undefined || decided.decisions.length === 0) return known ?? [];
  const cause = nowMs - heard.atMs <= heardWithinMs ? readTraceparent(heard.traceparent) : undefined;
  return cause === undefined ? [] : [cause];
}

/** Where looks come from. */
interface From {
  /** The traces of the events that led to them, if some did. */
  causes: Causes | undefined;
  /** A heartbeat may be the cause of what is decided within this of it. */
  heardWithinMs: number;
  /** When they began, by this process's wall clock. */
  beganMs: number;
}

/**
 * Enqueues what looks decided; their spans end when that is done.
 *
 * Their spans are made only now: what was decided tells whether there are any, so that looks at healthy droplets, which
 * are nearly all, cost nothing.
 */
export async function traceReconciles(
  evaluations: readonly Evaluation[],
  from: From,
  enqueue: (traces: JobTraces | undefined) => Promise<void>,
): Promise<void> {
  if (!isTracing()) return enqueue(undefined);
  const spans = new Map<Evaluation, Span>();
  const traces = new Map<Evaluation, JobTrace>();
  for (const look of evaluations) {
    const causes = causesOf(look, from);
    if (causes.length === 0 && look.decided.decisions.length === 0) continue;
    const span = startSpan(
      SPANS.reconcile,
      attributesOf(look.droplet.id, look.decided),
      causes,
      from.beganMs,
    );
    if (span === undefined) continue;
    spans.set(look, span);
    traces.set(look, jobTrace(span));
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

/** Pure: what a span says of what was decided. */
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

function distinct(decisions: readonly Decision[], of: (decision: Decision) => string | undefined): string[] {
  return [...new Set(decisions.map(of).filter((word) => word !== undefined))];
}
