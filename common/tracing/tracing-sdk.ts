/** The SDK of OpenTelemetry, its exporter and BullMQ's part: loaded only while tracing is on (`tracing.ts`). */
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
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
import type { Logger } from '../runtime/log.ts';
import { readTraceparent, TRACEPARENT } from './traceparent.ts';

/** What is there while tracing is on. */
export interface Tracing {
  tracer: Tracer;
  /** Makes a worker of BullMQ go on with the trace of a job. */
  jobs: Telemetry;
}

/** A stop waits so long for the last spans to leave: a collector that is away must not keep a process. */
const FLUSH_WITHIN_MS = 1_000;

/** @param service the service's name unless the environment says another */
export function startSdk(service: string, log: Logger): Tracing & { stop(): Promise<void> } {
  let starting = true;
  // What is wrong with the environment is said while we start. After that the exporter's end is what counts: see below.
  const say = (problem: string) =>
    starting
      ? log.warn(
          { event: 'tracing_setting_rejected', problem },
          'a setting of OpenTelemetry is not as it expects',
        )
      : log.debug({ event: 'tracing_error', problem }, 'OpenTelemetry');
  const quiet = () => undefined;
  diag.setLogger(
    { error: say, warn: say, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const exporter = new WatchedExporter(new OTLPTraceExporter(), log);
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
      const flushed = provider.shutdown().catch((error) => say(String(error)));
      await Promise.race([flushed, delay(FLUSH_WITHIN_MS, undefined, { ref: false })]);
      trace.disable();
      context.disable();
      propagation.disable();
      diag.disable();
    },
  };
}

function resourceOf(service: string): Resource {
  const ours = { 'service.name': service, 'host.name': hostname(), 'process.pid': process.pid };
  return defaultResource()
    .merge(resourceFromAttributes(ours))
    .merge(detectResources({ detectors: [envDetector] }));
}

type Exported = Parameters<SpanExporter['export']>[1];

/** Says once that spans do not get through, and once that they do again. */
class WatchedExporter implements SpanExporter {
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
        this.#log.info({ event: 'traces_exported_again', lost: this.#lost }, 'traces get through again');
        this.#lost = 0;
      }
      done(result);
    });
  }

  #failed(spans: number, error: Error | undefined): void {
    if (this.#lost === 0) {
      this.#log.warn(
        { event: 'traces_not_exported', problem: String(error ?? 'refused') },
        'traces do not reach their collector: they are thrown away until it is back',
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

const nothing = () => undefined;
const NO_SPAN: BullSpan = {
  setSpanOnContext: (on) => on,
  setAttribute: nothing,
  setAttributes: nothing,
  addEvent: nothing,
  recordException: nothing,
  end: nothing,
};

/**
 * bullmq-otel, of which only the spans of jobs in hand are wanted: a worker has others for each look into an empty queue
 * and each renewal of its locks, and they would be nearly all.
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
      // The worker would stumble over what it cannot read, and over the same job again and again.
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
