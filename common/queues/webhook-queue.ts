/** The queue of webhook deliveries: a job is one event for one receiver. */
import { createHash } from 'node:crypto';
import type { Job, Queue } from 'bullmq';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { WEBHOOK_EVENTS, type WebhookSettings } from '../config/webhooks.ts';
import { problemLevel } from '../redis/connection/connection-error.ts';
import { createRateLimit, type Logger, type RateLimitedLog } from '../runtime/log/log.ts';
import { JobDataError } from './queues.ts';

/** What a receiver gets, as JSON. Times are epoch ms on the deployment's clock. */
export const WebhookBodySchema = Type.Object({
  /** Of the event: the same in every delivery and retry of it. */
  id: Type.String({ minLength: 1 }),
  event: Type.Enum(WEBHOOK_EVENTS),
  atMs: Type.Number(),
  /** In words, for people; chat programs show this field. */
  text: Type.String(),
  /** Which deployment, as in `redis.prefix` and `cc_partition`. */
  deployment: Type.Object({ prefix: Type.String(), partition: Type.String() }),
  /** With `hold_on` and `hold_off`: the hold, and since when. */
  hold: Type.Optional(Type.String()),
  sinceMs: Type.Optional(Type.Number()),
  /** With `hold_on` of the hold `operator`: its id. */
  holdId: Type.Optional(Type.String()),
  /** With `given_up` and `unplaced`: the slot. */
  droplet: Type.Optional(Type.String()),
  index: Type.Optional(Type.Integer()),
  version: Type.Optional(Type.String()),
  crashes: Type.Optional(Type.Integer()),
  attempts: Type.Optional(Type.Integer()),
  /** With `no_process`: the kind of process without a working copy. */
  process: Type.Optional(Type.String()),
});
export type WebhookBody = Type.Static<typeof WebhookBodySchema>;

const WebhookJobSchema = Type.Object({ hook: Type.String(), body: WebhookBodySchema });
export type WebhookJob = Type.Static<typeof WebhookJobSchema>;

const webhookJob = Compile(WebhookJobSchema);

/** @throws JobDataError */
export function readWebhookJob(job: Job): WebhookJob {
  if (webhookJob.Check(job.data)) return job.data;
  throw new JobDataError(
    { id: job.id ?? 'unknown', queueName: job.queueName, data: undefined },
    'is not that of a webhook',
  );
}

/** Identifies a receiver without its URL, which may contain a token. */
export function hookId({ url }: WebhookSettings): string {
  return createHash('sha256').update(url).digest('hex').slice(0, 12);
}

/** Events beyond this number of waiting deliveries are dropped: a receiver that is away must not fill Redis. */
export const MAX_WAITING = 1_000;

interface Options {
  queue: Queue;
  hooks: readonly WebhookSettings[];
  deployment: WebhookBody['deployment'];
  log: Logger;
  /** Called for each delivery that is dropped. */
  onDropped?: (event: WebhookBody['event']) => void;
}

/** Adds events. Nothing waits for it, and a failure is only logged. */
export class WebhookQueue {
  readonly #options: Options;
  readonly #limited: RateLimitedLog;
  /** Deliveries that are being added: they wait while Redis is away. */
  #adding = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#limited = createRateLimit(options.log);
  }

  /** Adds a delivery for each receiver of the event. The same event twice is delivered once while the first one waits. */
  add(about: Omit<WebhookBody, 'deployment'>): void {
    void this.addAll(about);
  }

  /** As `add`; resolves when the deliveries are in the queue, or were dropped. */
  async addAll(about: Omit<WebhookBody, 'deployment'>): Promise<void> {
    const { hooks, deployment, queue } = this.#options;
    const receivers = hooks.filter(({ events }) => events.includes(about.event));
    if (receivers.length === 0) return;
    if (this.#adding + receivers.length > MAX_WAITING) return this.#drop(about, receivers.length);
    this.#adding += receivers.length;
    try {
      const { waiting = 0, delayed = 0 } = await queue.getJobCounts('waiting', 'delayed');
      if (waiting + delayed + receivers.length > MAX_WAITING) return this.#drop(about, receivers.length);
      await queue.addBulk(
        receivers.map((hook) => ({
          name: `${about.event}: ${about.text}`.slice(0, 200),
          data: { hook: hookId(hook), body: { ...about, deployment } } satisfies WebhookJob,
          opts: { jobId: `${about.id.replaceAll(':', '-')}-${hookId(hook)}` },
        })),
      );
    } catch (error) {
      this.#limited[problemLevel(error)](
        'webhook not queued',
        { event: 'webhook_not_queued', about: about.event, err: error },
        'webhook not queued: the receivers do not get this event',
      );
    } finally {
      this.#adding -= receivers.length;
    }
  }

  #drop({ event }: Pick<WebhookBody, 'event'>, deliveries: number): void {
    for (let n = 0; n < deliveries; n++) this.#options.onDropped?.(event);
    this.#limited.warn(
      'webhook dropped',
      { event: 'webhook_dropped', about: event, waiting: MAX_WAITING },
      'webhook dropped: too many deliveries wait',
    );
  }
}
