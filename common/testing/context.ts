import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { defaultSettings, type RedisSettings, type Settings } from '../config/settings.ts';
import type { Bus } from '../nats/bus.ts';
import { connectBus, type DedicatedConnection } from '../nats/connection/connect.ts';
import type { PolicySettings } from '../policy/settings.ts';
import type { ProcessContext } from '../process.ts';
import type { Clock } from '../redis/clock.ts';
import { connectRedis, type RedisConnections } from '../redis/connection/connections.ts';
import { createKeys, LAYOUT_VERSION } from '../redis/keys.ts';
import type { RedisClient } from '../redis/scripts/scripts.ts';
import { Health } from '../runtime/health.ts';
import { LastWork } from '../runtime/last-work.ts';
import { Lifecycle } from '../runtime/lifecycle/lifecycle.ts';
import type { Logger } from '../runtime/log/log.ts';
import { startTestRedis, type TestRedis } from './redis/server.ts';

/** A clock that only the test moves. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** @returns the new time */
  advance(ms: number): number {
    this.#nowMs += ms;
    return this.#nowMs;
  }
}

/** A logger that keeps its lines (from debug on) instead of writing them. */
export function captureLog(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}

export interface TestContextOptions {
  /** A real Redis (see `startTestRedis`) or a cluster (see `redis-under-test.ts`). */
  redis: { url: string } | { settings: RedisSettings };
  /** A real NATS; without it `connectBus` returns `bus`, or fails. */
  nats?: { url: string };
  bus?: Bus;
  /** Differences from the defaults. */
  settings?: Partial<Omit<Settings, 'policy'>> & { policy?: Partial<PolicySettings> };
  /** One clock for all processes of a scenario. */
  clock?: ManualClock;
  lifecycle?: Lifecycle;
}

export interface TestContext extends ProcessContext {
  clock: ManualClock;
  /** The logged lines, from level debug on. */
  lines: Record<string, unknown>[];
  /** All NATS connections of this context. */
  buses(): Promise<Bus[]>;
}

/**
 * The context that `runProcess` gives to a process, for a test: a real Redis, a clock that the test moves, the default
 * settings, and a log kept in memory. End it with `context.lifecycle.stop()`.
 */
export async function testContext(options: TestContextOptions): Promise<TestContext> {
  const { clock = new ManualClock(), lifecycle = new Lifecycle() } = options;
  const { log, lines } = captureLog();
  const health = new Health();
  const work = new LastWork(clock);
  const metrics = new Registry();
  const settings = settingsOf(options);
  // The contexts of a test are one deployment, also where each of them has a controller of its own.
  const claim = async (client: RedisClient) => {
    const { layout } = createKeys(settings.redisPrefix, settings.slices);
    await client.hset(layout, { version: LAYOUT_VERSION, slices: settings.slices });
  };
  const redis = await connectRedis({ settings, log, health, lifecycle, claim });
  const made = new Map<string | undefined, Promise<Bus>>();
  const connect = (dedicated?: DedicatedConnection): Promise<Bus> => {
    if (options.bus !== undefined) return Promise.resolve(options.bus);
    if (options.nats === undefined)
      throw new Error('testContext: expected the option `nats` or `bus`, got neither');
    const { mbus } = settings;
    const bus =
      made.get(dedicated?.name) ??
      connectBus({ mbus, name: 'test', log, health, lifecycle, metrics, dedicated });
    made.set(dedicated?.name, bus);
    return bus;
  };
  const buses = () => Promise.all(made.values());
  return { settings, log, lines, clock, lifecycle, redis, connectBus: connect, buses, metrics, health, work };
}

function settingsOf({ redis, nats, settings: overrides }: TestContextOptions): Settings {
  const defaults = defaultSettings();
  return {
    ...defaults,
    ...(nats === undefined ? {} : { mbus: { servers: [new URL(nats.url).host], tls: false } }),
    ...overrides,
    policy: { ...defaults.policy, ...overrides?.policy },
    redis: 'settings' in redis ? redis.settings : { kind: 'single', url: redis.url },
  };
}

/** The hash of a droplet in Redis. */
export function recordOf(
  { client, keys }: RedisConnections,
  droplet: string,
): Promise<Record<string, string>> {
  return client.hgetall(keys.droplet(droplet));
}

/** The sum of a metric's current values with these labels; 0 when it has none. */
export async function metricValue(
  metrics: Registry,
  name: string,
  labels: Record<string, string> = {},
): Promise<number> {
  const metric = metrics.getSingleMetric(name);
  if (metric === undefined) throw new Error(`no metric ${name}`);
  const { values } = await metric.get();
  return values
    .filter((value) =>
      Object.entries(labels).every(([label, of]) => (value.labels as Record<string, unknown>)[label] === of),
    )
    .reduce((sum, { value }) => sum + value, 0);
}

/** Filled before the first test of the file. */
export interface RedisOfTests {
  server: TestRedis;
  context: TestContext;
}

/** A Redis and a context on it for one test file: emptied before each test, stopped after the last. */
export function useRedis(options: Omit<TestContextOptions, 'redis'> = {}): RedisOfTests {
  const of = {} as RedisOfTests;
  beforeAll(async () => {
    of.server = await startTestRedis();
    of.context = await testContext({ ...options, redis: of.server });
  });
  afterAll(async () => {
    try {
      await of.context?.lifecycle.stop();
    } finally {
      await of.server?.stop();
    }
  });
  beforeEach(async () => {
    await of.context.redis.client.flushall();
  });
  return of;
}
