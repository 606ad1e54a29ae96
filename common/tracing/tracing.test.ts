import { describe, expect, it, test } from 'vitest';
import { Lifecycle } from '../runtime/lifecycle/lifecycle.ts';
import { captureLog } from '../testing/context.ts';
import { readTraceparent, writeTraceparent } from './traceparent.ts';
import {
  isTracing,
  isTracingEnabled,
  jobTelemetry,
  SPANS,
  setSpanAttributes,
  startTracing,
  traced,
  traceFields,
  traceHeaders,
} from './tracing.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('tracing is enabled', () => {
  const at = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

  it.each<[boolean, NodeJS.ProcessEnv]>([
    [false, {}],
    [true, at],
    [true, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' }],
    [false, { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
    [false, { ...at, OTEL_SDK_DISABLED: 'True' }],
    [true, { ...at, OTEL_SDK_DISABLED: 'false' }],
    [true, { ...at, OTEL_SDK_DISABLED: '1' }],
    [false, { ...at, OTEL_TRACES_EXPORTER: 'none' }],
    [true, { ...at, OTEL_TRACES_EXPORTER: 'otlp' }],
    [false, { OTEL_SERVICE_NAME: 'hm', OTEL_TRACES_SAMPLER: 'always_on' }],
  ])('%s: %j', (enabled, env) => {
    expect(isTracingEnabled(env)).toBe(enabled);
  });
});

describe('a traceparent', () => {
  it.each([`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-00`])('%s is read back unchanged', (text) => {
    const context = readTraceparent(text);
    expect(context).toMatchObject({ traceId: TRACE, spanId: SPAN, isRemote: true });
    expect(writeTraceparent(context!)).toBe(text);
  });

  it.each([
    undefined,
    null,
    7,
    '',
    'nonsense',
    `01-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-01\n`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
  ])('%j is rejected', (text) => {
    expect(readTraceparent(text)).toBeUndefined();
  });
});

test('while tracing is off, work runs unchanged and nothing is added to its data', async () => {
  const { log, lines } = captureLog();
  await startTracing({ name: 'ingest', env: {}, log, lifecycle: new Lifecycle() });
  expect(isTracing()).toBe(false);
  const done = Promise.resolve('done');
  const inside = traced(SPANS.exit, {}, () => {
    setSpanAttributes({ ignored: 'yes' });
    expect([traceFields(), traceHeaders(), jobTelemetry()]).toEqual([[], undefined, undefined]);
    return done;
  });
  expect(inside).toBe(done);
  expect(lines).toEqual([]);
});
