import { Counter, type Registry } from 'prom-client';

/** `retried`: it is tried again later; `given_up`: the receiver does not get it; `dropped`: too many waited. */
export type WebhookOutcome = 'sent' | 'retried' | 'given_up' | 'dropped';
export type WebhookMetrics = Counter<'event' | 'outcome'>;

/** Registers the count of webhook deliveries. */
export function webhookMetrics(registry: Registry): WebhookMetrics {
  return new Counter({
    name: 'hm_webhooks_total',
    help: 'Webhook deliveries by event and outcome: sent, retried, given_up, dropped',
    labelNames: ['event', 'outcome'],
    registers: [registry],
  });
}
