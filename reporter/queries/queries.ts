import type { Dialect } from '../../common/messages/dialects/dialects.ts';
import type { DeploymentName } from '../../common/messages/subjects.ts';
import type { Bus, Msg } from '../../common/nats/bus.ts';
import { BusError } from '../../common/nats/bus.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { FleetCounters } from '../../common/redis/fleet/counters.ts';
import type { Health } from '../../common/runtime/health.ts';
import type { LastWork } from '../../common/runtime/last-work.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../common/runtime/log/log.ts';
import type { QueryOutcome, ReporterMetrics } from '../figures/metrics.ts';
import { type DropletReader, knownView } from './droplet-reader.ts';
import type { HealthReader } from './health-reader.ts';
import { QueryGroup } from './query-group.ts';
import {
  type HealthQuery,
  type Query,
  type QueryKind,
  queryKindsOf,
  type RecordQuery,
  type Reply,
} from './query-kinds.ts';
import { BusyError } from './shared-reads.ts';

interface Options {
  bus: Bus;
  deployment: DeploymentName;
  dialect: Dialect;
  /** Rejects or stays pending while Redis cannot be read. */
  pingRedis(): Promise<unknown>;
  reader: DropletReader;
  healthReader: HealthReader;
  policy: PolicySettings;
  log: Logger;
  health: Health;
  metrics: ReporterMetrics;
  counters: FleetCounters;
  work: Pick<LastWork, 'done'>;
}

/** Answers the controllers' queries; all reporters share one queue group. Queries only read. */
export class Queries {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  readonly #inProgress = new Set<Promise<void>>();

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
  }

  /** @returns stops taking queries, and resolves when those that were received are answered */
  start(): () => Promise<void> {
    const handlers = new Map(
      queryKindsOf(this.#options.dialect).map((kind) => [
        kind.subject,
        (message: Msg) => this.#accept(kind, message),
      ]),
    );
    const leave = new QueryGroup(this.#options, handlers).start();
    return async () => {
      await leave();
      await Promise.all(this.#inProgress);
    };
  }

  #accept(kind: QueryKind, message: Msg): void {
    const done = this.#handle(kind, message).finally(() => this.#inProgress.delete(done));
    this.#inProgress.add(done);
  }

  async #handle(kind: QueryKind, message: Msg): Promise<void> {
    const { metrics, counters } = this.#options;
    const { subject } = kind;
    const startMs = performance.now();
    counters.increment(kind.counter);
    const outcome = await this.#answer(kind, message);
    this.#options.work.done();
    metrics.queries.inc({ subject, outcome });
    if (outcome === 'answered') metrics.seconds.observe({ subject }, (performance.now() - startMs) / 1000);
  }

  async #answer({ subject, parse }: QueryKind, { data, reply }: Msg): Promise<QueryOutcome> {
    const parsed = parse(data);
    if ('reject' in parsed) {
      this.#rejected(subject, parsed.reject, 1);
      return 'rejected';
    }
    for (const { reason, count } of parsed.ok.rejected) this.#rejected(subject, reason, count);
    if (parsed.ok.ids.length === 0 && !parsed.ok.isAlwaysAnswered)
      return parsed.ok.rejected.length > 0 ? 'rejected' : 'unknown';
    if (reply === undefined || reply === '') return 'no_reply_subject';
    try {
      return await this.#send(subject, reply, parsed.ok);
    } catch (error) {
      return this.#failed(subject, error);
    }
  }

  async #send(subject: string, reply: string, query: Query): Promise<QueryOutcome> {
    const { health, metrics } = this.#options;
    // The controller would not wait until Redis answers again.
    if (health.problems().has('redis')) return 'busy';
    const replies =
      query.reads === 'health' ? await this.#healthReplies(query) : await this.#recordReplies(query);
    const sent = this.#publish(subject, reply, replies);
    metrics.replies.inc({ subject }, sent);
    return sent > 0 ? 'answered' : 'unknown';
  }

  async #recordReplies(query: RecordQuery): Promise<Reply[]> {
    const { reader, policy } = this.#options;
    const reads = await reader.read(query.ids);
    const droplets = this.#readable(query, reads.droplets);
    const views = droplets.map((droplet) => knownView(droplet, reads, policy));
    return query.replies({ views, holds: reads.holds });
  }

  async #healthReplies(query: HealthQuery): Promise<Reply[]> {
    const { droplets } = await this.#options.healthReader.read(query.ids);
    return query.replies(this.#readable(query, droplets));
  }

  /** Reports the records that cannot be read. @returns without these */
  #readable<T>({ ids }: Query, found: readonly (T | Error | undefined)[]): (T | undefined)[] {
    return found.map((droplet, at) => {
      if (!(droplet instanceof Error)) return droplet;
      this.#unreadable(ids[at] as string, droplet);
      return undefined;
    });
  }

  /** @returns how many were sent: one that is too large for NATS is left out */
  #publish(subject: string, reply: string, replies: readonly Reply[]): number {
    const { bus, metrics } = this.#options;
    const texts = replies.map(({ answer }) => JSON.stringify(answer));
    const tooLarge = bus.publishAll(reply, texts);
    for (const at of tooLarge) {
      metrics.oversized.inc({ subject });
      this.#limited.warn(
        `${subject} too large`,
        {
          event: 'reply_too_large',
          subject,
          droplet: replies[at]?.droplet,
          bytes: Buffer.byteLength(texts[at] as string),
        },
        'reply left out: it exceeds max_payload of NATS',
      );
    }
    return texts.length - tooLarge.length;
  }

  #rejected(subject: string, reason: string, count: number): void {
    this.#options.metrics.rejected.inc({ subject, reason }, count);
    this.#limited.warn(
      `${subject} ${reason}`,
      { event: 'message_rejected', subject, reason },
      'query rejected, wholly or in part: it is not valid',
    );
  }

  #unreadable(droplet: string, error: Error): void {
    this.#options.metrics.unreadable.inc();
    this.#limited.error(
      'unreadable',
      { event: 'unreadable_record', droplet, err: error },
      'record cannot be read',
    );
  }

  #failed(subject: string, error: unknown): QueryOutcome {
    const busy = error instanceof BusyError || (error instanceof BusError && error.kind === 'disconnected');
    this.#limited[busy ? 'warn' : 'error'](
      `${subject} ${busy ? 'busy' : 'failed'}`,
      { event: 'query_not_answered', subject, err: error },
      'query not answered',
    );
    return busy ? 'busy' : 'failed';
  }
}
