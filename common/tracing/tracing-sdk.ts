/** The OpenTelemetry SDK, its exporter and BullMQ's telemetry: loaded only while tracing is on (`tracing.ts`). */
import { hostname } from 'node:os';
import {
  context,
  DiagLogLevel,
  diag,
  propagation,
  ROOT_CONTEXT,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-node';
import { SpanKind, type Telemetry } from 'bullmq';
import { BullMQOtel } from 'bullmq-otel';
import type { Logger } from '../runtime/log/log.ts';
import { withTimeout } from '../runtime/tasks/with-timeout.ts';
import { readTraceparent, TRACEPARENT } from './traceparent.ts';

/** Exists while tracing is on. */
export interface Tracing {
  tracer: Tracer;
  /** By it a BullMQ worker continues the trace of a job. */
  jobs: Telemetry;
}

/** A stop waits no longer for the last spans: a collector that does not answer must not delay it. */
const FLUSH_TIMEOUT_MS = 1_000;

/** @param service service name, unless the environment sets another */
export function startSdk(service: string, log: Logger): Tracing & { stop(): Promise<void> } {
  let starting = true;
  // A warning while the SDK starts is about a setting. Later ones repeat what `LoggingExporter` logs.
  const report = (problem: string) =>
    starting
      ? log.warn({ event: 'tracing_setting_rejected', problem }, 'OpenTelemetry setting rejected')
      : log.debug({ event: 'tracing_error', problem }, 'OpenTelemetry reported an error');
  const ignore = () => undefined;
  diag.setLogger(
    { error: report, warn: report, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const exporter = new LoggingExporter(new OTLPTraceExporter(), log);
  const provider = new NodeTracerProvider({
    resource: resourceOf(service),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  provider.register();
  starting = false;
  return {
    tracer: trace.getTracer('health-manager'),
    jobs: jobTelemetry(),
    stop: async () => {
      const flushed = provider.shutdown().catch((error) => report(String(error)));
      await withTimeout(flushed, { timeoutMs: FLUSH_TIMEOUT_MS, onTimeout: () => undefined });
      trace.disable();
      context.disable();
      propagation.disable();
      diag.disable();
    },
  };
}

function resourceOf(service: string): Resource {
  const attributes = { 'service.name': service, 'host.name': hostname(), 'process.pid': process.pid };
  return defaultResource()
    .merge(resourceFromAttributes(attributes))
    .merge(detectResources({ detectors: [envDetector] }));
}

type Exported = Parameters<SpanExporter['export']>[1];

/** Logs the first export that fails, and the first that succeeds after it. */
class LoggingExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #log: Logger;
  #lost = 0;

  constructor(inner: SpanExporter, log: Logger) {
    this.#inner = inner;
    this.#log = log;
  }

  export(spans: ReadableSpan[], done: Exported): void {
    this.#inner.export(spans, (result) => {
      if (result.error !== undefined || result.code !== 0) this.#failed(spans.length, result.error);
      else if (this.#lost > 0) {
        this.#log.info({ event: 'traces_exported_again', lost: this.#lost }, 'traces exported again');
        this.#lost = 0;
      }
      done(result);
    });
  }

  #failed(spans: number, error: Error | undefined): void {
    if (this.#lost === 0) {
      this.#log.warn(
        { event: 'traces_not_exported', problem: String(error ?? 'refused') },
        'traces not exported: dropped until the collector accepts them',
      );
    }
    this.#lost += spans;
  }

  forceFlush(): Promise<void> {
    return this.#inner.forceFlush?.() ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }
}

type BullSpan = ReturnType<Telemetry['tracer']['startSpan']>;

const noop = () => undefined;
const NO_SPAN: BullSpan = {
  setSpanOnContext: (on) => on,
  setAttribute: noop,
  setAttributes: noop,
  addEvent: noop,
  recordException: noop,
  end: noop,
};

/**
 * bullmq-otel, reduced to the spans of running jobs. A worker also makes one for each poll of an empty queue and each renewal
 * of its locks, and those would be nearly all.
 */
function jobTelemetry(): Telemetry {
  const { tracer, contextManager } = new BullMQOtel({ tracerName: 'bullmq' }) as Telemetry;
  return {
    tracer: {
      startSpan: (name, options, on) =>
        options?.kind === SpanKind.CONSUMER ? tracer.startSpan(name, options, on) : NO_SPAN,
    },
    contextManager: {
      with: (on, work) => contextManager.with(on, work),
      active: () => contextManager.active(),
      root: () => ROOT_CONTEXT,
      getMetadata: (of) => contextManager.getMetadata(of),
      // Unreadable metadata would make the worker fail on the same job over and over.
      fromMetadata: (on, metadata) =>
        isReadable(metadata) ? contextManager.fromMetadata(on, metadata) : ROOT_CONTEXT,
    },
  };
}

function isReadable(metadata: string): boolean {
  try {
    const carrier: unknown = JSON.parse(metadata);
    return readTraceparent((carrier as Record<string, unknown> | null)?.[TRACEPARENT]) !== undefined;
  } catch {
    return false;
  }
}
