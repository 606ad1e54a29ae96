/**
 * Tracing (OpenTelemetry), from a received message to a sent one: the names of spans and attributes, and how a trace
 * continues in the next process.
 *
 * Off unless a standard variable of OpenTelemetry names a collector (`isTracingEnabled`). While off, no span is made, nothing
 * is added to stored or sent data, and the SDK is not loaded (`tracing-sdk.ts`).
 *
 * A W3C `traceparent` carries the trace: in a field of an event's stream entry or of a record that a heartbeat changed, in
 * the telemetry of a job, in a header of a published message.
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
import type { Lifecycle } from '../runtime/lifecycle/lifecycle.ts';
import { type Logger, withoutLogins } from '../runtime/log/log.ts';
import { TRACEPARENT, writeTraceparent } from './traceparent.ts';
import type { Tracing } from './tracing-sdk.ts';

/** The spans of this program. BullMQ adds its own (`process <queue>`: a running job, with the time it waited). */
export const SPANS = {
  /** ingest: a heartbeat that differs from the last one of its DEA is stored. Equal ones, nearly all, have no span. */
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
  /** Of a heartbeat: a newer one is already stored. */
  stale: 'hm.stale',
  /** Of an exit: CRASHED, STOPPED, ... */
  exit: 'hm.exit',
  /** Of an exit: false if it was already stored. */
  isNew: 'hm.is_new',
  /** Of a reconcile: kind and id of the first decisions, and the number of all. */
  decisions: 'hm.decisions',
  decided: 'hm.decided',
  /** Of a reconcile: the reasons of its decisions, and the holds that kept some back. */
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

/** Reads the standard variables of OpenTelemetry. */
export function isTracingEnabled(env: NodeJS.ProcessEnv): boolean {
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return false;
  if (env.OTEL_TRACES_EXPORTER?.trim().toLowerCase() === 'none') return false;
  return [env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, env.OTEL_EXPORTER_OTLP_ENDPOINT].some((url) => url?.trim());
}

/**
 * Starts tracing if the environment enables it. It ends with the lifecycle, so call this before anything that makes spans is
 * registered there. A failure is logged; the process goes on without tracing.
 *
 * @param name the process; the service name is OTEL_SERVICE_NAME, or else `hm-<name>`
 */
export async function startTracing(options: {
  name: string;
  env: NodeJS.ProcessEnv;
  log: Logger;
  lifecycle: Lifecycle;
}): Promise<void> {
  const { name, env, log, lifecycle } = options;
  if (!isTracingEnabled(env)) return;
  try {
    const { startSdk } = await import('./tracing-sdk.ts');
    const sdk = startSdk(`hm-${name}`, log);
    tracing = sdk;
    lifecycle.onStop('tracing', async () => {
      await sdk.stop();
      tracing = undefined;
    });
  } catch (error) {
    log.warn({ event: 'tracing_not_started', err: error }, 'tracing not started');
  }
}

/** True while spans are made. */
export function isTracing(): boolean {
  return tracing !== undefined;
}

/** Runs work within a new span; without one while tracing is off. */
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

/** Adds attributes to the active span, if there is one. */
export function setSpanAttributes(attributes: Attributes): void {
  if (tracing !== undefined) trace.getActiveSpan()?.setAttributes(attributes);
}

export function failed(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: withoutLogins(String(error)) });
}

/**
 * Starts a span that continues the trace of its first cause and is linked to the other causes. Without a cause it is the
 * root of a new trace.
 *
 * @param beganMs start time, by this process's wall clock
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

/** The `traceparent` of the active span; undefined while there is none. */
export function traceparent(): string | undefined {
  if (tracing === undefined) return undefined;
  const span = trace.getActiveSpan();
  return span === undefined ? undefined : writeTraceparent(span.spanContext());
}

const NO_FIELDS: readonly string[] = [];

/** The trace field of a stream entry and its value, or `[]`. */
export function traceFields(): readonly string[] {
  const encoded = traceparent();
  return encoded === undefined ? NO_FIELDS : [TRACEPARENT, encoded];
}

/** The trace header of a message, or undefined. */
export function traceHeaders(): Readonly<Record<string, string>> | undefined {
  const encoded = traceparent();
  return encoded === undefined ? undefined : { [TRACEPARENT]: encoded };
}

/** Job options by which the worker continues the trace, in bullmq-otel's format. */
export interface JobTrace {
  telemetry: { metadata: string };
}

export function jobTrace(span: Span): JobTrace {
  return { telemetry: { metadata: JSON.stringify({ [TRACEPARENT]: writeTraceparent(span.spanContext()) }) } };
}

/** Worker options for jobs that carry a trace. */
export function jobTelemetry(): { telemetry: Telemetry } | undefined {
  return tracing && { telemetry: tracing.jobs };
}
