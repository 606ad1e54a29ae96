/**
 * Tracing (OpenTelemetry), from what is heard to what is sent: the names of spans and attributes, and how a trace goes on
 * from one process to the next.
 *
 * It is off unless a standard variable of OpenTelemetry names a collector (`tracingWanted`). Off, no span is made and
 * nothing that leaves a process is any different; the SDK is not even loaded (`tracing-sdk.ts`).
 *
 * A trace goes on by a W3C `traceparent`: a field of an event's entry in its stream, or of the record that a heartbeat
 * changed; the telemetry of a job; a header of what is published.
 */
import {
  type Attributes,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { Telemetry } from 'bullmq';
import type { Lifecycle } from '../runtime/lifecycle.ts';
import { type Logger, withoutLogins } from '../runtime/log.ts';
import { TRACEPARENT, writeTraceparent } from './traceparent.ts';
import type { Tracing } from './tracing-sdk.ts';

/** The spans that we make; BullMQ's are beside them (`process <queue>`: a job in hand, with its wait before it). */
export const SPANS = {
  /** ingest: a heartbeat that differs from the last one of its DEA is stored. Equal ones have none: they are nearly all. */
  heartbeat: { name: 'hm.heartbeat', kind: SpanKind.CONSUMER, root: true },
  /** ingest: a `droplet.exited` is stored. */
  exit: { name: 'hm.exit', kind: SpanKind.CONSUMER, root: true },
  /** ingest: a `droplet.updated` is stored. */
  update: { name: 'hm.update', kind: SpanKind.CONSUMER, root: true },
  /** analyzer: a droplet is read, decided on, stored and enqueued. */
  reconcile: { name: 'hm.reconcile', kind: SpanKind.INTERNAL, root: false },
  /** nudger: a start or a stop is checked again and published, or dropped. */
  deliver: { name: 'hm.deliver', kind: SpanKind.PRODUCER, root: false },
} as const;

type SpanOf = (typeof SPANS)[keyof typeof SPANS];

export const ATTRIBUTES = {
  droplet: 'hm.droplet',
  dea: 'hm.dea',
  index: 'hm.index',
  instance: 'hm.instance',
  /** Of a heartbeat: how many records it changed. */
  droplets: 'hm.droplets',
  /** Of a heartbeat: a newer one was there already. */
  stale: 'hm.stale',
  /** Of an exit: CRASHED, STOPPED, ... */
  exit: 'hm.exit',
  /** Of an exit: false if it was known already. */
  news: 'hm.is_new',
  /** Of a look: kind and id of each decision, at most DECISIONS_TOLD, and how many there were. */
  decisions: 'hm.decisions',
  decided: 'hm.decided',
  /** Of a look: the reasons of its decisions, and the holds that kept some back. */
  reasons: 'hm.reasons',
  holds: 'hm.holds',
  /** Of a delivery: `start` or `stop`, its reason and its id, as in the headers of the message. */
  kind: 'hm.kind',
  reason: 'hm.reason',
  decision: 'hm.decision',
  /** Of a delivery: sent, unconfirmed, dry_run, dropped (`hm.why`), not_due, not_settled. */
  outcome: 'hm.outcome',
  why: 'hm.why',
} as const;

let tracing: Tracing | undefined;

/** Whether the environment switches tracing on: the standard variables of OpenTelemetry. */
export function tracingWanted(env: NodeJS.ProcessEnv): boolean {
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return false;
  if (env.OTEL_TRACES_EXPORTER?.trim().toLowerCase() === 'none') return false;
  return [env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, env.OTEL_EXPORTER_OTLP_ENDPOINT].some((url) => url?.trim());
}

/**
 * Starts tracing if it is wanted; it ends with the lifecycle, after what is released before has made its last spans.
 * What goes wrong with it is logged and does no other harm.
 *
 * @param name the process: `hm-<name>` is the service's name unless OTEL_SERVICE_NAME says another
 */
export async function startTracing(options: {
  name: string;
  env: NodeJS.ProcessEnv;
  log: Logger;
  lifecycle: Lifecycle;
}): Promise<void> {
  const { name, env, log, lifecycle } = options;
  if (!tracingWanted(env)) return;
  try {
    const { startSdk } = await import('./tracing-sdk.ts');
    const sdk = startSdk(`hm-${name}`, log);
    tracing = sdk;
    lifecycle.onStop('tracing', async () => {
      await sdk.stop();
      tracing = undefined;
    });
  } catch (error) {
    log.warn({ event: 'tracing_not_started', err: error }, 'tracing could not be started; going on without');
  }
}

/** Whether spans are made. */
export function isTracing(): boolean {
  return tracing !== undefined;
}

/** Does some work within a span of its own; while it is off, just the work. */
export function traced<T>(span: SpanOf, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  if (tracing === undefined) return work();
  const { name, kind, root } = span;
  return tracing.tracer.startActiveSpan(name, { kind, root, attributes }, async (active) => {
    try {
      return await work();
    } catch (error) {
      failed(active, error);
      throw error;
    } finally {
      active.end();
    }
  });
}

/** Says more of the span that is active, if there is one. */
export function noteOnSpan(attributes: Attributes): void {
  if (tracing !== undefined) trace.getActiveSpan()?.setAttributes(attributes);
}

export function failed(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: withoutLogins(String(error)) });
}

/**
 * A span that goes on from where its causes were, or is a trace's first. It goes on from the first cause and is linked to
 * the others.
 *
 * @param beganMs its begin, by this process's wall clock
 */
export function startSpan(
  { name, kind }: SpanOf,
  attributes: Attributes,
  [parent, ...others]: readonly SpanContext[],
  beganMs: number,
): Span | undefined {
  const from = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
  const links = others.map((context) => ({ context }));
  return tracing?.tracer.startSpan(name, { kind, attributes, links, startTime: new Date(beganMs) }, from);
}

/** Where the active span's trace is, in words; undefined while there is none. */
export function traceparent(): string | undefined {
  if (tracing === undefined) return undefined;
  const span = trace.getActiveSpan();
  return span === undefined ? undefined : writeTraceparent(span.spanContext());
}

const NO_FIELDS: readonly string[] = [];

/** What a stream's entry says of the trace that it belongs to: `[]`, or a field and its value. */
export function traceFields(): readonly string[] {
  const text = traceparent();
  return text === undefined ? NO_FIELDS : [TRACEPARENT, text];
}

/** The same for the headers of a message. */
export function traceHeaders(): Readonly<Record<string, string>> | undefined {
  const text = traceparent();
  return text === undefined ? undefined : { [TRACEPARENT]: text };
}

/** Options of a job by which its worker goes on with the trace: as bullmq-otel writes them. */
export interface JobTrace {
  telemetry: { metadata: string };
}

export function jobTrace(span: Span): JobTrace {
  return { telemetry: { metadata: JSON.stringify({ [TRACEPARENT]: writeTraceparent(span.spanContext()) }) } };
}

/** Options of a worker whose jobs carry a trace. */
export function jobTelemetry(): { telemetry: Telemetry } | undefined {
  return tracing && { telemetry: tracing.jobs };
}
