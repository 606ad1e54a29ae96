import type { ObservedDroplet } from '../../common/explain/observed-droplet.ts';
import {
  parseDropletRequest,
  parseHealthRequest,
  parseStatusRequest,
  type Rejected,
  type StatusRequest,
} from '../../common/messages/incoming.ts';
import { type DeploymentName, SUBJECTS } from '../../common/messages/subjects.ts';
import type { Result } from '../../common/messages/validation.ts';
import type { Bus, Msg } from '../../common/nats/bus.ts';
import { BusError } from '../../common/nats/bus.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import { crashesOf } from '../../common/policy/slots/crashes.ts';
import type { CounterName, FleetCounters } from '../../common/redis/fleet/counters.ts';
import type { Health } from '../../common/runtime/health.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../../common/runtime/log/log.ts';
import { flappingIndices, healthyCount, isKnown } from '../../common/views/droplet-answers.ts';
import { dropletJson } from '../../common/views/droplet-json.ts';
import type { QueryOutcome, ReporterMetrics } from '../figures/metrics.ts';
import { BusyError, type DropletReader } from './droplet-reader.ts';
import { QueryGroup } from './query-group.ts';

/** A valid query: the droplets that it asks for, and the reply for each. */
interface Query {
  ids: readonly string[];
  rejected: readonly Rejected[];
  /** The reply for the droplet at position `at` of `ids`. */
  reply(view: ObservedDroplet, at: number): unknown;
}

interface QueryKind {
  subject: string;
  counter: CounterName;
  parse(data: Uint8Array): Result<Query>;
}

const QUERY_KINDS: readonly QueryKind[] = [
  {
    subject: SUBJECTS.statusRequest,
    counter: 'healthmanager_status_msgs_received',
    parse: (data) =>
      mapOk(parseStatusRequest(data), (request) => ({
        ids: [request.droplet],
        rejected: [],
        reply: (view) => statusReply(view, request),
      })),
  },
  {
    subject: SUBJECTS.healthRequest,
    counter: 'healthmanager_health_request_msgs_received',
    parse: (data) =>
      mapOk(parseHealthRequest(data), ({ droplets, rejected }) => {
        const asked = withoutRepeats(droplets);
        return {
          ids: asked.map(({ droplet }) => droplet),
          rejected,
          reply: (view, at) => {
            const version = asked[at]?.version ?? '';
            return { droplet: view.droplet.id, version, healthy: healthyCount(view, version) };
          },
        };
      }),
  },
  {
    subject: SUBJECTS.dropletRequest,
    counter: 'healthmanager_droplet_request_msgs_received',
    parse: (data) =>
      mapOk(parseDropletRequest(data), ({ droplets, rejected }) => ({
        ids: [...new Set(droplets)],
        rejected,
        reply: dropletJson,
      })),
  },
];

/** Each droplet and version once: a query of 5,000 times one id must not cost 5,000 replies. */
function withoutRepeats<T extends { droplet: string; version: string }>(entries: readonly T[]): T[] {
  const byKey = new Map(entries.map((entry) => [JSON.stringify([entry.droplet, entry.version]), entry]));
  return [...byKey.values()];
}

function mapOk<A, B>(result: Result<A>, fn: (ok: A) => B): Result<B> {
  return 'ok' in result ? { ok: fn(result.ok) } : result;
}

function statusReply(view: ObservedDroplet, request: StatusRequest): unknown {
  if (request.state === 'FLAPPING') return { indices: flappingIndices(view, request.version) };
  const { droplet, deas, nowMs, settings } = view;
  const crashes = crashesOf(droplet, deas, nowMs, settings);
  return { instances: crashes.map(({ instance, sinceS }) => ({ instance, since: sinceS })) };
}

interface Options {
  bus: Bus;
  deployment: DeploymentName;
  /** Rejects or stays pending while Redis cannot be read. */
  pingRedis(): Promise<unknown>;
  reader: DropletReader;
  policy: PolicySettings;
  log: Logger;
  health: Health;
  metrics: ReporterMetrics;
  counters: FleetCounters;
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
      QUERY_KINDS.map((kind) => [kind.subject, (message: Msg) => this.#accept(kind, message)]),
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
    if (parsed.ok.ids.length === 0) return parsed.ok.rejected.length > 0 ? 'rejected' : 'unknown';
    if (reply === undefined || reply === '') return 'no_reply_subject';
    try {
      return await this.#send(subject, reply, parsed.ok);
    } catch (error) {
      return this.#failed(subject, error);
    }
  }

  async #send(subject: string, reply: string, query: Query): Promise<QueryOutcome> {
    const { reader, policy, health, metrics } = this.#options;
    // The controller would not wait until Redis answers again.
    if (health.problems().has('redis')) return 'busy';
    const { droplets, deas, nowMs, lostBeforeMs } = await reader.read(query.ids);
    let sent = 0;
    droplets.forEach((droplet, at) => {
      if (droplet instanceof Error) this.#unreadable(query.ids[at] as string, droplet);
      else if (droplet !== undefined && isKnown(droplet)) {
        const view = { droplet, deas, nowMs, lostBeforeMs, settings: policy };
        if (this.#publish(subject, reply, droplet.id, query.reply(view, at))) sent++;
      }
    });
    metrics.replies.inc({ subject }, sent);
    return sent > 0 ? 'answered' : 'unknown';
  }

  /** @returns false if the reply is too large for NATS: the other replies of the query are sent all the same */
  #publish(subject: string, reply: string, droplet: string, answer: unknown): boolean {
    const { bus, metrics } = this.#options;
    const text = JSON.stringify(answer);
    try {
      bus.publish(reply, text);
      return true;
    } catch (error) {
      if (!(error instanceof BusError) || error.kind !== 'too_large') throw error;
      metrics.oversized.inc({ subject });
      this.#limited.warn(
        `${subject} too large`,
        { event: 'reply_too_large', subject, droplet, bytes: Buffer.byteLength(text) },
        'reply left out: it exceeds max_payload of NATS',
      );
      return false;
    }
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
