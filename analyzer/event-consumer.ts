import { setTimeout } from 'node:timers/promises';
import type { SpanContext } from '@opentelemetry/api';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { problemLevel } from '../common/redis/connection/connection-error.ts';
import type { RedisClient, RedisConnections } from '../common/redis/connection/connections.ts';
import { pairsOf } from '../common/redis/records/pairs.ts';
import { DRAIN_TIMEOUT_MS, type Lifecycle } from '../common/runtime/lifecycle/lifecycle.ts';
import type { Logger } from '../common/runtime/log/log.ts';
import { PeriodicTask } from '../common/runtime/tasks/periodic-task.ts';
import { readTraceparent } from '../common/tracing/traceparent.ts';
import { isTracing } from '../common/tracing/tracing.ts';
import type { AnalyzerMetrics } from './metrics.ts';
import type { Causes } from './reconcile/traces.ts';

const GROUP = 'analyzers';
/** Events in one read: enough to fill a pipeline, few enough to be handled within milliseconds. */
const EVENTS_PER_READ = 200;
/** How long a read blocks before the loop checks whether the process is stopping. */
const BLOCK_MS = 5_000;
/** An analyzer that has not acknowledged an event for this time is dead or stalled: another one claims the event. */
const CLAIM_AFTER_MS = 5_000;
/** A consumer that has been idle for this many claim periods, and has nothing left to claim, is deleted. */
const DELETE_CONSUMER_AFTER = 12;
const RETRY_DELAY_MS = 1_000;
/**
 * The errors of a missing consumer group: the answer to a new read, and (up to Redis 7.0) to a blocked read whose stream
 * is deleted.
 */
const NO_GROUP = /^(NOGROUP|UNBLOCKED) /;

const Entry = Compile(
  Type.Object({
    /** `update` comes from an ingestor of a former version. */
    kind: Type.Enum(['exit', 'update']),
    droplet: Type.String({ minLength: 1 }),
    /** Not checked: an event is handled with or without a valid trace. */
    traceparent: Type.Optional(Type.Unknown()),
  }),
);

interface Options {
  redis: RedisConnections;
  log: Logger;
  lifecycle: Lifecycle;
  metrics: AnalyzerMetrics;
  /** This analyzer's name in the consumer group. */
  consumer: string;
  /** Reconciles these droplets; resolves when the result is stored. */
  reconcile(droplets: string[], causes?: Causes): Promise<void>;
  /** Overrides CLAIM_AFTER_MS. */
  claimAfterMs?: number;
}

/**
 * Consumes the streams of exits. All analyzers form one consumer group, so each event goes to one of them.
 * It is acknowledged when its effect is stored. Events that a dead analyzer had read are claimed by another one.
 *
 * An event only names a droplet. If two analyzers reconcile a droplet at once, the record's revision lets only one of
 * them store its result, so the order of events does not matter.
 */
export function consumeEvents(options: Options): void {
  for (const stream of options.redis.keys.eventStreams) new StreamConsumer(stream, options).start();
}

class StreamConsumer {
  readonly #stream: string;
  readonly #options: Options;
  readonly #connection: RedisClient;
  readonly #claimAfterMs: number;
  #stopped = false;
  /** Ids of entries whose effect is stored, but which are not acknowledged yet. */
  #handled: string[] = [];
  #running: Promise<void> = Promise.resolve();

  constructor(stream: string, options: Options) {
    this.#stream = stream;
    this.#options = options;
    this.#connection = options.redis.dedicated(`consumer of ${stream}`);
    this.#claimAfterMs = options.claimAfterMs ?? CLAIM_AFTER_MS;
  }

  start(): void {
    this.#running = this.#run();
    const claimer = new PeriodicTask(this.#claimAfterMs, () => this.#claim());
    const stop = async () => {
      this.#stopped = true;
      claimer.cancel();
      this.#connection.disconnect(); // ends the blocking read
      await this.#running;
      await this.#acknowledge(this.#handled);
      await this.#handleUndelivered();
    };
    this.#options.lifecycle.onStop(`consumer of ${this.#stream}`, stop, DRAIN_TIMEOUT_MS);
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        this.#handled = await this.#handle(await this.#next());
      } catch (error) {
        if (this.#stopped) return;
        await this.#recover(error);
      }
    }
  }

  /** Acknowledges the handled events and waits for the next ones, in one packet to Redis instead of two. */
  async #next(): Promise<StreamEntry[]> {
    const { consumer } = this.#options;
    const pipeline = this.#connection.pipeline();
    const handled = this.#handled;
    if (handled.length > 0) pipeline.xack(this.#stream, GROUP, ...handled);
    const block = ['COUNT', EVENTS_PER_READ, 'BLOCK', BLOCK_MS, 'STREAMS', this.#stream, '>'] as const;
    pipeline.call('XREADGROUP', 'GROUP', GROUP, consumer, ...block);
    const replies = (await pipeline.exec()) ?? [];
    for (const [error] of replies) if (error) throw error;
    this.#handled = [];
    const read = replies.at(-1)?.[1] as [string, StreamEntry[]][] | null;
    return read?.flatMap(([, entries]) => entries) ?? [];
  }

  /** Reconciles the droplets of these entries. Returns the ids of the entries, to be acknowledged. */
  async #handle(entries: StreamEntry[]): Promise<string[]> {
    const { reconcile, metrics, log } = this.#options;
    const droplets = new Set<string>();
    const causes = isTracing() ? new Map<string, SpanContext[]>() : undefined;
    for (const [id, fields] of entries) {
      const entry: unknown = Object.fromEntries(pairsOf(fields ?? []));
      if (Entry.Check(entry)) {
        droplets.add(entry.droplet);
        metrics.events.inc({ kind: entry.kind });
        const cause = causes && readTraceparent(entry.traceparent);
        if (cause) causes.set(entry.droplet, [...(causes.get(entry.droplet) ?? []), cause]);
      } else {
        metrics.eventsRejected.inc();
        log.warn(
          { event: 'stream_entry_rejected', stream: this.#stream, id },
          'stream entry rejected: not in the format that ingest writes',
        );
      }
    }
    if (droplets.size > 0) await reconcile([...droplets], causes);
    return entries.map(([id]) => id);
  }

  /**
   * Handles the events of a reply that was lost with the disconnected read. Otherwise they would wait until another
   * analyzer claims them.
   */
  async #handleUndelivered(): Promise<void> {
    const { redis, consumer } = this.#options;
    if (redis.client.status !== 'ready') return; // the command would wait for a connection
    const ownPending = ['GROUP', GROUP, consumer, 'STREAMS', this.#stream, '0'];
    const read = (await redis.client.call('XREADGROUP', ...ownPending)) as [string, StreamEntry[]][] | null;
    await this.#acknowledge(await this.#handle(read?.flatMap(([, entries]) => entries) ?? []));
  }

  async #acknowledge(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#options.redis.client.xack(this.#stream, GROUP, ...ids);
  }

  async #claim(): Promise<void> {
    const { redis, consumer, log } = this.#options;
    try {
      const [, entries] = (await redis.client.call(
        'XAUTOCLAIM',
        this.#stream,
        GROUP,
        consumer,
        this.#claimAfterMs,
        '0',
        'COUNT',
        EVENTS_PER_READ,
      )) as [string, StreamEntry[]];
      await this.#acknowledge(await this.#handle(entries));
      await this.#deleteIdleConsumers();
    } catch (error) {
      log[problemLevel(error)]({ event: 'events_not_claimed', err: error }, 'events not claimed; retrying');
    }
  }

  /** Each analyzer process adds a consumer with a new name, so those of ended processes must be deleted. */
  async #deleteIdleConsumers(): Promise<void> {
    const { client } = this.#options.redis;
    const consumers = (await client.call('XINFO', 'CONSUMERS', this.#stream, GROUP)) as unknown[][];
    const minIdleMs = DELETE_CONSUMER_AFTER * this.#claimAfterMs;
    for (const fields of consumers) {
      const { name = '', pending, idle } = Object.fromEntries(pairsOf(fields.map(String)));
      if (pending !== '0' || !(Number(idle) >= minIdleMs)) continue;
      await client.xgroup('DELCONSUMER', this.#stream, GROUP, name);
    }
  }

  /** Creates the consumer group if it is missing: at the first start, and after Redis lost its data. */
  async #recover(error: unknown): Promise<void> {
    const { redis, log } = this.#options;
    try {
      if (!(error instanceof Error && NO_GROUP.test(error.message))) throw error;
      await redis.client.xgroup('CREATE', this.#stream, GROUP, '0', 'MKSTREAM');
    } catch (failure) {
      if (failure instanceof Error && failure.message.startsWith('BUSYGROUP')) return;
      log.warn(
        { event: 'events_not_handled', stream: this.#stream, err: failure },
        'events not handled; retrying',
      );
      await setTimeout(RETRY_DELAY_MS);
    }
  }
}

type StreamEntry = [id: string, fields: string[] | null];
