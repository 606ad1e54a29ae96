import { expect, test, vi } from 'vitest';
import { Lifecycle } from '../../common/runtime/lifecycle/lifecycle.ts';
import { startCollector } from '../../common/testing/collector.ts';
import { captureLog } from '../../common/testing/context.ts';
import { readTraceparent } from '../../common/tracing/traceparent.ts';
import { isTracing, startTracing } from '../../common/tracing/tracing.ts';
import type { Decision } from '../decide/decision.ts';
import type { Evaluation } from './evaluation.ts';
import { attributesOf, type JobTraces, MAX_TRACED_DECISIONS, traceReconciles } from './traces.ts';

const start = (id: string, reason: 'missing' | 'crashed'): Decision => ({
  ...{ kind: 'start', id, index: 0, version: 'v1', reason, priority: 'normal', queuePriority: 1 },
});

test('a span has the decisions and their reasons', () => {
  const held: Decision = {
    ...{ kind: 'held', id: 'web.start-2.8-x', hold: 'mass_loss', what: 'start' },
    ...{ index: 2, version: 'v1', reason: 'missing' },
  };
  const decisions = [start('web.start-0.7-x', 'crashed'), start('web.start-1.8-x', 'missing'), held];
  expect(attributesOf('web', { decisions })).toEqual({
    'hm.droplet': 'web',
    'hm.decided': 3,
    'hm.decisions': ['start web.start-0.7-x', 'start web.start-1.8-x', 'held web.start-2.8-x'],
    'hm.reasons': ['crashed', 'missing'],
    'hm.holds': ['mass_loss'],
  });
});

test('a span without decisions has empty lists; one of a thousand lists only the first ones', () => {
  expect(attributesOf('web', { decisions: [] })).toEqual({
    ...{ 'hm.droplet': 'web', 'hm.decided': 0, 'hm.decisions': [], 'hm.reasons': [] },
  });
  const many = Array.from({ length: 1_000 }, (_, index) => start(`web.start-${index}.1-x`, 'missing'));
  const attributes = attributesOf('web', { decisions: many });
  expect(attributes['hm.decided']).toBe(1_000);
  expect(attributes['hm.decisions']).toHaveLength(MAX_TRACED_DECISIONS);
});

const evaluation = (id: string, ...decisions: Decision[]): Evaluation =>
  ({ droplet: { id }, decided: { decisions }, deas: new Map(), nowMs: 0 }) as unknown as Evaluation;
const crashed = evaluation('crashed', start('s1', 'crashed'));
const missing = evaluation('missing', start('s2', 'missing'));
const healthy = evaluation('healthy');
const known = evaluation('known');
const EVALUATIONS = [crashed, missing, healthy, known];

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const cause = (spanId: string) => readTraceparent(`00-${TRACE}-${spanId}-01`)!;
const CAUSES = new Map([
  ['crashed', [cause('00000000000000a1'), cause('00000000000000a2')]],
  ['known', [cause('00000000000000a3')]],
]);

const FROM = { causes: CAUSES, heartbeatWithinMs: 60_000, beganMs: Date.now() };

/** The same, its record changed by a heartbeat that was received `agoMs` before. */
function afterHeartbeat(
  of: Evaluation,
  agoMs: number,
  traceparent = `00-${TRACE}-00000000000000b1-01`,
): Evaluation {
  return { ...of, droplet: { ...of.droplet, heartbeatTrace: { atMs: of.nowMs - agoMs, traceparent } } };
}

test('a reconcile has a span if an event led to it or it decided something; its jobs continue the trace', async () => {
  const collector = await startCollector();
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
  const lifecycle = new Lifecycle();
  let jobs: JobTraces | undefined;
  try {
    await startTracing({ name: 'analyzer', env: process.env, log: captureLog().log, lifecycle });
    await traceReconciles(EVALUATIONS, FROM, async (traces) => {
      jobs = traces;
    });
    const afterHeartbeats = [
      afterHeartbeat(missing, 60_000),
      afterHeartbeat(missing, 60_001),
      afterHeartbeat(missing, 1, 'nonsense'),
      afterHeartbeat(healthy, 1),
      afterHeartbeat(crashed, 1),
    ];
    await traceReconciles(afterHeartbeats, FROM, async () => {});
    await expect(
      traceReconciles([missing], { ...FROM, causes: undefined }, () =>
        Promise.reject(new Error('Redis is down')),
      ),
    ).rejects.toThrow('Redis is down');
  } finally {
    await lifecycle.stop();
    vi.unstubAllEnvs();
    await collector.stop();
  }
  expect(isTracing()).toBe(false);
  const spans = collector.spans.map(({ attributes, parentSpanId, links }) => [
    ...[attributes['hm.droplet'], parentSpanId, links],
  ]);
  expect(spans).toEqual([
    ['crashed', '00000000000000a1', ['00000000000000a2']],
    ['missing', '', []],
    ['known', '00000000000000a3', []],
    ['missing', '00000000000000b1', []],
    ['missing', '', []],
    ['missing', '', []],
    ['crashed', '00000000000000a1', ['00000000000000a2']],
    ['missing', '', []],
  ]);
  const [ofCrashed, ofMissing] = collector.spans;
  expect(ofCrashed?.traceId).toBe(TRACE);
  const carried = (of: Evaluation) => JSON.parse(jobs?.get(of)?.telemetry.metadata ?? 'null');
  expect(carried(crashed)).toEqual({ traceparent: `00-${TRACE}-${ofCrashed?.spanId}-01` });
  expect(carried(missing)).toEqual({ traceparent: `00-${ofMissing?.traceId}-${ofMissing?.spanId}-01` });
  expect(jobs?.has(healthy)).toBe(false);
});

test('while tracing is off there are no spans', async () => {
  await traceReconciles(EVALUATIONS, FROM, async (traces) => expect(traces).toBeUndefined());
});
