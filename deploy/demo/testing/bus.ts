/** What the cloud's tests share. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type Msg, type NatsConnection, type Subscription, type SubscriptionOptions } from 'nats';
import { parseJson } from '../json.ts';

/** Waits until `look` gives something, and gives that. @throws Error that says what it waited for in vain */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false,
  withinMs = 20_000,
): Promise<T> {
  const giveUpMs = performance.now() + withinMs;
  for (;;) {
    const seen = look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > giveUpMs) throw new Error(`waited in vain: ${what}`);
    await delay(5);
  }
}

export interface Heard {
  subject: string;
  text: string;
  value: Record<string, unknown>;
}

/** Connects, and remembers all that is published on these subjects. */
export async function listen(
  url: string,
  ...subjects: string[]
): Promise<{ nats: NatsConnection; heard: Heard[] }> {
  const nats = await connect({ servers: url });
  const heard: Heard[] = [];
  for (const subject of subjects) {
    nats.subscribe(subject, {
      callback: (_, message) => {
        const value = parseJson(message.string()) as Record<string, unknown>;
        heard.push({ subject: message.subject, text: message.string(), value });
      },
    });
  }
  await nats.flush();
  return { nats, heard };
}

/** A bus of the test's own that delivers at once. */
export function fakeBus() {
  const callbacks = new Map<string, SubscriptionOptions['callback']>();
  const subscribe = (subject: string, options?: SubscriptionOptions) => {
    callbacks.set(subject, options?.callback);
    return { unsubscribe: () => callbacks.delete(subject) } as unknown as Subscription;
  };
  const publish = (subject: string, payload: unknown, reason?: string) => {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    const message = { string: () => text, headers: reason === undefined ? undefined : { get: () => reason } };
    callbacks.get(subject)?.(null, message as unknown as Msg);
  };
  return { subscribe, publish };
}
