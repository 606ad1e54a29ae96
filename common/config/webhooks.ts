/** The setting `webhooks`: where events are reported to. */
import type { Parser } from './parsers/parsers.ts';

/** What a webhook may be told. */
export const WEBHOOK_EVENTS = ['hold_on', 'hold_off', 'given_up', 'unplaced', 'no_process'] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

export interface WebhookSettings {
  /** Secret: it may contain a token. */
  url: string;
  events: WebhookEvent[];
}

/** More than an operator has receivers, and few enough that an event costs little. */
const MAX_WEBHOOKS = 20;

export const webhooks: Parser<WebhookSettings[]> = {
  expected: `a list of at most ${MAX_WEBHOOKS} entries {url, events}: url an http:// or https:// URL, events a list of ${WEBHOOK_EVENTS.join(', ')} (default: all)`,
  parse: ({ value }) => {
    if (!Array.isArray(value) || value.length === 0 || value.length > MAX_WEBHOOKS) return undefined;
    const parsed = value.map(webhookOf);
    return parsed.every((one) => one !== undefined) ? parsed : undefined;
  },
};

function webhookOf(value: unknown): WebhookSettings | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { url, events = [...WEBHOOK_EVENTS], ...unknown } = value as Record<string, unknown>;
  if (Object.keys(unknown).length > 0 || typeof url !== 'string' || !URL.canParse(url)) return undefined;
  // A login in a URL is not possible with `fetch`.
  const { protocol, username } = new URL(url);
  if ((protocol !== 'http:' && protocol !== 'https:') || username !== '') return undefined;
  if (!Array.isArray(events) || events.length === 0) return undefined;
  const known = WEBHOOK_EVENTS.filter((event) => events.includes(event));
  return known.length === new Set(events).size ? { url, events: known } : undefined;
}
