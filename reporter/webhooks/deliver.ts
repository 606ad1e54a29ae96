/** Delivers webhooks: a JSON POST for each job, tried again with growing delays. */
import { DelayedError, type Job, type Processor } from 'bullmq';
import type { WebhookSettings } from '../../common/config/webhooks.ts';
import { hookId, readWebhookJob, type WebhookBody } from '../../common/queues/webhook-queue.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import { packageVersion } from '../../common/runtime/package-version.ts';
import type { WebhookMetrics } from './metrics.ts';

/** Longest wait for a receiver's answer (ms). */
const ANSWER_MS = 10_000;
/** First delay before the next try (ms); each next one is twice as long, up to the longest. */
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 300_000;
/** Tries in all: the last one about 20 minutes after the first. */
export const MAX_TRIES = 12;

interface Options {
  hooks: readonly WebhookSettings[];
  log: Logger;
  metrics: WebhookMetrics;
  /** For tests: shorter times. */
  answerMs?: number;
  firstDelayMs?: number;
}

/** The processor of the queue `webhooks`. */
export function webhookProcessor(options: Options): Processor {
  const { hooks, log, metrics, answerMs = ANSWER_MS, firstDelayMs = FIRST_DELAY_MS } = options;
  const byId = new Map(hooks.map((hook) => [hookId(hook), hook]));
  const version = packageVersion();
  return async (job: Job, token) => {
    const { hook: id, body } = readWebhookJob(job);
    const { event } = body;
    const hook = byId.get(id);
    if (hook === undefined) {
      // Another process has another configuration.
      metrics.inc({ event, outcome: 'given_up' });
      log.warn(
        { event: 'webhook_given_up', about: event, id: body.id },
        'webhook not sent: this process has no receiver with this id in its setting `webhooks`',
      );
      return 'unknown receiver';
    }
    const { host } = new URL(hook.url);
    const result = await send(hook.url, body, version, answerMs);
    if (result === 'accepted') {
      metrics.inc({ event, outcome: 'sent' });
      return 'sent';
    }
    const tries = job.attemptsStarted;
    const about = { about: event, id: body.id, host, problem: result.problem, tries };
    if (!result.isTransient || tries >= MAX_TRIES) {
      metrics.inc({ event, outcome: 'given_up' });
      log.error({ event: 'webhook_given_up', ...about }, 'webhook not delivered; it is not tried again');
      return `given up: ${result.problem}`;
    }
    metrics.inc({ event, outcome: 'retried' });
    const delayMs = Math.min(LONGEST_DELAY_MS, firstDelayMs * 2 ** (tries - 1));
    log.warn({ event: 'webhook_failed', ...about, delayMs }, 'webhook not delivered; it is tried again');
    await job.moveToDelayed(Date.now() + delayMs, token);
    throw new DelayedError();
  };
}

type Sent = 'accepted' | { problem: string; isTransient: boolean };

/** Only 2xx is accepted. Redirects are not followed: the receiver is the one that is configured. */
async function send(url: string, body: WebhookBody, version: string, answerMs: number): Promise<Sent> {
  try {
    const reply = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': `health-manager/${version}` },
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.timeout(answerMs),
    });
    // Its content does not matter, and may be endless.
    await reply.body?.cancel();
    if (reply.ok) return 'accepted';
    const isTransient = reply.status >= 500 || [408, 425, 429].includes(reply.status);
    return { problem: `HTTP ${reply.status}`, isTransient };
  } catch (error) {
    return { problem: problemOf(error), isTransient: true };
  }
}

/** The error's code, never its message: it may contain the URL. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if (error.name === 'TimeoutError') return 'no answer in time';
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  return cause?.code ?? error.name;
}
