import type { Bus, Handler, Msg } from '../../../common/nats/bus.ts';

/** A bus without a server: the fuzzing delivers messages to the handlers, and replies are kept. */
export class FakeBus {
  readonly handlers = new Map<string, Handler>();
  replies: string[] = [];

  readonly bus = {
    connected: () => true,
    subscribe: (subject: string, _options: object, handler: Handler) => {
      this.handlers.set(subject, handler);
      return { drain: async () => undefined, unsubscribe: () => undefined };
    },
    publish: (subject: string, data = '') => {
      if (subject === 'reply') this.replies.push(String(data));
    },
    publishAll: (subject: string, texts: readonly string[]) => {
      if (subject === 'reply') this.replies.push(...texts);
      return [];
    },
    flush: async () => undefined,
    readLagMs: () => 0,
    answers: async () => true,
    onLost: () => undefined,
    onRestored: () => undefined,
  } satisfies Partial<Record<keyof Bus, unknown>> as unknown as Bus;

  deliver(subject: string, data: Buffer): void {
    const handler = this.handlers.get(subject);
    if (handler === undefined) throw new Error(`no subscription to ${subject}`);
    handler({ data, subject, reply: 'reply', respond: () => true } as unknown as Msg);
  }
}
