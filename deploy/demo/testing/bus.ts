/** NATS helpers of the demo's tests. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type Msg, type NatsConnection, type Subscription, type SubscriptionOptions } from 'nats';
import { parseJson } from '../json.ts';

/** Polls until `find` returns a value, and returns it. @throws Error that names what was not found in time */
export async function eventually<T>(
  what: string,
  find: () => T | undefined | false,
  withinMs = 20_000,
): Promise<T> {
  const giveUpMs = performance.now() + withinMs;
  for (;;) {
    const found = find();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > giveUpMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await delay(5);
  }
}

export interface Received {
  subject: string;
  text: string;
  value: Record<string, unknown>;
}

/** Connects, and records all messages on these subjects. */
export async function listen(
  url: string,
  ...subjects: string[]
): Promise<{ nats: NatsConnection; received: Received[] }> {
  const nats = await connect({ servers: url });
  const received: Received[] = [];
  for (const subject of subjects) {
    nats.subscribe(subject, {
      callback: (_, message) => {
        const value = parseJson(message.string()) as Record<string, unknown>;
        received.push({ subject: message.subject, text: message.string(), value });
      },
    });
  }
  await nats.flush();
  return { nats, received };
}

/** A bus without a server. It delivers synchronously. */
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
