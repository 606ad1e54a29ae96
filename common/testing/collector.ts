import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An exported span. */
export interface CollectedSpan {
  /** `service.name` */
  service: string;
  name: string;
  traceId: string;
  spanId: string;
  /** '' for the root of a trace. */
  parentSpanId: string;
  attributes: Record<string, unknown>;
  /** Ids of the linked spans. */
  links: string[];
}

/** A trace collector (OTLP over HTTP, JSON) for one test. */
export interface TestCollector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans: CollectedSpan[];
  /** The collector accepts requests and never answers them. */
  hang: boolean;
  stop(): Promise<void>;
}

/** Starts a collector on a free loopback port. */
export async function startCollector(): Promise<TestCollector> {
  const spans: CollectedSpan[] = [];
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await bodyOf(request)) as Otlp;
    if (collector.hang) return;
    if (request.method === 'POST' && request.url === '/v1/traces') spans.push(...spansOf(body));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const collector = { url: `http://127.0.0.1:${port}`, spans, hang: false, stop: () => close(server) };
  return collector;
}

interface Otlp {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: {
      spans: (Omit<CollectedSpan, 'service' | 'attributes' | 'links'> & {
        attributes: Attribute[];
        links: { spanId: string }[];
      })[];
    }[];
  }[];
}

interface Attribute {
  key: string;
  value: Value;
}

type Value = Record<string, unknown> & { arrayValue?: { values?: Value[] } };

function spansOf({ resourceSpans }: Otlp): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(attributesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap((scope) =>
      scope.spans.map(({ name, traceId, spanId, parentSpanId = '', attributes, links }) => ({
        service,
        name,
        traceId,
        spanId,
        parentSpanId,
        attributes: attributesOf(attributes),
        links: (links ?? []).map((link) => link.spanId),
      })),
    );
  });
}

function attributesOf(attributes: Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]));
}

function plain({ arrayValue, ...scalar }: Value): unknown {
  return arrayValue === undefined ? Object.values(scalar)[0] : (arrayValue.values ?? []).map(plain);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
