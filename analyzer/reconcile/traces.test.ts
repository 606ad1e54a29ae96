import { expect, test, vi } from 'vitest';
import { Lifecycle } from '../../common/runtime/lifecycle.ts';
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

test('a span tells what was decided, and why', () => {
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

test('it tells of nothing decided, and not of a thousand decisions', () => {
  expect(attributesOf('web', { decisions: [] })).toEqual({
    ...{ 'hm.droplet': 'web', 'hm.decided': 0, 'hm.decisions': [], 'hm.reasons': [] },
  });
  const many = Array.from({ length: 1_000 }, (_, index) => start(`web.start-${index}.1-x`, 'missing'));
  const told = attributesOf('web', { decisions: many });
  expect(told['hm.decided']).toBe(1_000);
  expect(told['hm.decisions']).toHaveLength(MAX_TRACED_DECISIONS);
});

const look = (id: string, ...decisions: Decision[]): Evaluation =>
  ({ droplet: { id }, decided: { decisions }, deas: new Map(), nowMs: 0 }) as unknown as Evaluation;
const crashed = look('crashed', start('s1', 'crashed'));
const missing = look('missing', start('s2', 'missing'));
const healthy = look('healthy');
const known = look('known');
const LOOKS = [crashed, missing, healthy, known];

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const cause = (spanId: string) => readTraceparent(`00-${TRACE}-${spanId}-01`)!;
const CAUSES = new Map([
  ['crashed', [cause('00000000000000a1'), cause('00000000000000a2')]],
  ['known', [cause('00000000000000a3')]],
]);

const FROM = { causes: CAUSES, heardWithinMs: 60_000, beganMs: Date.now() };

/** The heartbeat that changed the record was received so long before. */
function heard(of: Evaluation, agoMs: number, traceparent = `00-${TRACE}-00000000000000b1-01`): Evaluation {
  return { ...of, droplet: { ...of.droplet, heardTrace: { atMs: of.nowMs - agoMs, traceparent } } };
}

test('of evaluations, those have a span that an event led to, or that decided something; jobs go on from it', async () => {
  const collector = await startCollector();
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
  const lifecycle = new Lifecycle();
  let jobs: JobTraces | undefined;
  try {
    await startTracing({ name: 'analyzer', env: process.env, log: captureLog().log, lifecycle });
    await traceReconciles(LOOKS, FROM, async (traces) => {
      jobs = traces;
    });
    const afterHeartbeats = [
      heard(missing, 60_000),
      heard(missing, 60_001),
      heard(missing, 1, 'nonsense'),
      heard(healthy, 1),
      heard(crashed, 1),
    ];
    await traceReconciles(afterHeartbeats, FROM, async () => {});
    await expect(
      traceReconciles([missing], { ...FROM, causes: undefined }, () =>
        Promise.reject(new Error('Redis is away')),
      ),
    ).rejects.toThrow('Redis is away');
  } finally {
    await lifecycle.stop();
    vi.unstubAllEnvs();
    await collector.stop();
  }
  expect(isTracing()).toBe(false);
  const told = collector.spans.map(({ attributes, parentSpanId, links }) => [
    ...[attributes['hm.droplet'], parentSpanId, links],
  ]);
  expect(told).toEqual([
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

test('while tracing is off there is none', async () => {
  await traceReconciles(LOOKS, FROM, async (traces) => expect(traces).toBeUndefined());
});
