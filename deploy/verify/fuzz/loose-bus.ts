import type { Bus, Handler, Msg } from '../../../common/nats/bus.ts';

/** A bus without a server: what is subscribed is called by the fuzzing, what is published is kept. */
export class LooseBus {
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
    flush: async () => undefined,
    waitedAtMostMs: () => 0,
    answers: async () => true,
    onLost: () => undefined,
    onRestored: () => undefined,
  } as unknown as Bus;

  say(subject: string, data: Buffer): void {
    const handler = this.handlers.get(subject);
    if (handler === undefined) throw new Error(`nobody is subscribed to ${subject}`);
    handler({ data, subject, reply: 'reply', respond: () => true } as unknown as Msg);
  }
}
