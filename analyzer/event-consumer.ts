import { setTimeout } from 'node:timers/promises';
import type { SpanContext } from '@opentelemetry/api';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { RedisClient, RedisConnections } from '../common/redis/connections.ts';
import { IN_HAND_MS, type Lifecycle } from '../common/runtime/lifecycle.ts';
import type { Logger } from '../common/runtime/log.ts';
import { readTraceparent } from '../common/tracing/traceparent.ts';
import { isTracing } from '../common/tracing/tracing.ts';
import type { AnalyzerMetrics } from './metrics.ts';
import type { Causes } from './reconcile/traces.ts';

const GROUP = 'analyzers';
/** Events read at once: enough to fill a pipeline, few enough to be handled within milliseconds. */
const READ_AT_ONCE = 200;
/** How long a read waits for an event before it looks whether the process is to stop. */
const BLOCK_MS = 5_000;
/** Events that another analyzer has read and not acknowledged for so long are taken over: it is dead or stalled. */
const CLAIM_AFTER_MS = 5_000;
/** A consumer that has not read for so many times that, and has nothing left to claim, is gone: others have its work. */
const FORGET_CONSUMER_AFTER = 12;
const AFTER_FAILURE_MS = 1_000;
/** How Redis says that there is no group: to who asks, and (up to 7.0) to who waits when the stream goes. */
const NO_GROUP = /^(NOGROUP|UNBLOCKED) /;

const Entry = Compile(
  Type.Object({
    kind: Type.Enum(['exit', 'update']),
    droplet: Type.String({ minLength: 1 }),
    /** Whatever it is: an event counts, with a trace or without. */
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
  /** Looks at these droplets; resolves when the effect is stored. */
  look(droplets: string[], causes?: Causes): Promise<void>;
  /** Instead of CLAIM_AFTER_MS. */
  claimAfterMs?: number;
}

/**
 * Reads the streams of exits and updates, as one of a consumer group: each event goes to one analyzer and is
 * acknowledged when its effect is stored; what a dead one had read is claimed by another.
 *
 * An event is only a droplet's name. Two analyzers that look at one droplet at once are kept apart by the
 * record's revision, so the order of events does not matter.
 */
export function readEvents(options: Options): void {
  for (const stream of options.redis.keys.eventStreams) new StreamReader(stream, options).start();
}

class StreamReader {
  readonly #stream: string;
  readonly #options: Options;
  readonly #connection: RedisClient;
  readonly #claimAfterMs: number;
  #stopped = false;
  /** Ids of entries whose effect is stored and that are not acknowledged yet. */
  #handled: string[] = [];
  #running: Promise<void> = Promise.resolve();

  constructor(stream: string, options: Options) {
    this.#stream = stream;
    this.#options = options;
    this.#connection = options.redis.dedicated(`reader of ${stream}`);
    this.#claimAfterMs = options.claimAfterMs ?? CLAIM_AFTER_MS;
  }

  start(): void {
    this.#running = this.#run();
    const claimer = setInterval(() => this.#claim(), this.#claimAfterMs);
    const stop = async () => {
      this.#stopped = true;
      clearInterval(claimer);
      this.#connection.disconnect(); // ends the blocking read
      await this.#running;
      await this.#acknowledge(this.#handled);
      await this.#handleGiven();
    };
    this.#options.lifecycle.onStop(`reader of ${this.#stream}`, stop, IN_HAND_MS);
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

  /** Acknowledges what has been handled and waits for more: one packet to Redis instead of two. */
  async #next(): Promise<StreamEntry[]> {
    const { consumer } = this.#options;
    const pipeline = this.#connection.pipeline();
    const handled = this.#handled;
    if (handled.length > 0) pipeline.xack(this.#stream, GROUP, ...handled);
    const block = ['COUNT', READ_AT_ONCE, 'BLOCK', BLOCK_MS, 'STREAMS', this.#stream, '>'] as const;
    pipeline.call('XREADGROUP', 'GROUP', GROUP, consumer, ...block);
    const replies = (await pipeline.exec()) ?? [];
    for (const [error] of replies) if (error) throw error;
    this.#handled = [];
    const read = replies.at(-1)?.[1] as [string, StreamEntry[]][] | null;
    return read?.flatMap(([, entries]) => entries) ?? [];
  }

  /** @returns the entries' ids, to be acknowledged */
  async #handle(entries: StreamEntry[]): Promise<string[]> {
    const { look, metrics, log } = this.#options;
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
          'an entry of the stream is not as ingest writes it: left out',
        );
      }
    }
    if (droplets.size > 0) await look([...droplets], causes);
    return entries.map(([id]) => id);
  }

  /** What Redis gave to the read that was broken off: others would claim it only after a while. */
  async #handleGiven(): Promise<void> {
    const { redis, consumer } = this.#options;
    if (redis.client.status !== 'ready') return; // it would be waited for
    const given = ['GROUP', GROUP, consumer, 'STREAMS', this.#stream, '0'];
    const read = (await redis.client.call('XREADGROUP', ...given)) as [string, StreamEntry[]][] | null;
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
        READ_AT_ONCE,
      )) as [string, StreamEntry[]];
      await this.#acknowledge(await this.#handle(entries));
      await this.#forgetConsumers();
    } catch (error) {
      log.debug({ event: 'events_not_claimed', err: error }, 'could not claim events; tried again soon');
    }
  }

  /** Every analyzer that ever ran was a consumer of its own name. */
  async #forgetConsumers(): Promise<void> {
    const { client } = this.#options.redis;
    const consumers = (await client.call('XINFO', 'CONSUMERS', this.#stream, GROUP)) as unknown[][];
    for (const fields of consumers) {
      const { name, pending, idle } = Object.fromEntries(pairsOf(fields));
      const goneMs = FORGET_CONSUMER_AFTER * this.#claimAfterMs;
      if (pending !== 0 || typeof idle !== 'number' || idle < goneMs) continue;
      await client.xgroup('DELCONSUMER', this.#stream, GROUP, String(name));
    }
  }

  /** The group is made when it is missing: at first start, and after Redis lost its data. */
  async #recover(error: unknown): Promise<void> {
    const { redis, log } = this.#options;
    try {
      if (!(error instanceof Error && NO_GROUP.test(error.message))) throw error;
      await redis.client.xgroup('CREATE', this.#stream, GROUP, '0', 'MKSTREAM');
    } catch (failure) {
      if (failure instanceof Error && failure.message.startsWith('BUSYGROUP')) return;
      log.warn(
        { event: 'events_not_handled', stream: this.#stream, err: failure },
        'events could not be handled; they are claimed again',
      );
      await setTimeout(AFTER_FAILURE_MS);
    }
  }
}

type StreamEntry = [id: string, fields: string[] | null];

/** A map as Redis writes it: `field, value, field, value, ...` */
function pairsOf(fields: readonly unknown[]): [string, unknown][] {
  const pairs: [string, unknown][] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) pairs.push([String(fields[at]), fields[at + 1]]);
  return pairs;
}
