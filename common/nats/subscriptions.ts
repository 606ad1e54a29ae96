import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Gauge } from 'prom-client';
import type { Health } from '../runtime/health.ts';
import type { Logger } from '../runtime/log/log.ts';
import { PeriodicTask } from '../runtime/tasks/periodic-task.ts';

/** A subscription of the NATS client. */
interface ClientSubscription {
  unsubscribe(): void;
  drain(): Promise<void>;
}

/** A subscription that is retried while the server refuses it. It survives reconnects. */
export interface BusSubscription extends ClientSubscription {
  /**
   * The server refuses it: nothing is received. Known after a flush that began after the subscription. The server may also
   * refuse it later, when its permissions are changed.
   */
  readonly isRefused: boolean;
}

interface Options {
  health: Health;
  log: Logger;
  /** By subject, how many subscriptions are refused. */
  refused: Gauge<'subject'>;
  /** A round trip to the server. */
  flush(): Promise<void>;
}

/** Opens a subscription at the client. @param refused called when the server refuses it */
type Open = (refused: () => void) => ClientSubscription;

/** Time between two tries of a refused subscription (ms). */
const RETRY_MS = 2_000;

/** The subscriptions of one connection: which of them the server refuses, in `/readyz`, in the log and as a metric. */
export class Subscriptions {
  readonly #options: Options;
  readonly #all = new Set<Retried>();
  readonly #retries: PeriodicTask;

  constructor(options: Options) {
    this.#options = options;
    this.#retries = new PeriodicTask(RETRY_MS, () => this.#retry());
  }

  add(subject: string, queue: string | undefined, label: string, open: Open): BusSubscription {
    const { health, log, refused } = this.#options;
    refused.inc({ subject: label }, 0);
    const subscription = new Retried(
      subject,
      queue,
      open,
      (isRefused, hasEnded) => {
        refused.inc({ subject: label }, isRefused ? 1 : -1);
        const others = [...this.#all].some((one) => one.subject === subject && one.isRefused);
        health.set(`nats ${subject}`, others ? `NATS refuses the subscription to ${subject}` : undefined);
        if (isRefused)
          log.error({ event: 'subscription_refused', subject, queue }, 'nats subscription refused; retrying');
        else if (!hasEnded)
          log.info({ event: 'subscription_accepted', subject, queue }, 'nats subscription accepted');
      },
      () => this.#all.delete(subscription),
    );
    this.#all.add(subscription);
    return subscription;
  }

  /**
   * The server has refused a subscription to this subject.
   *
   * @param queue absent where the server did not name it: a reload names only the subject
   * @returns whether it was one of these
   */
  refused(subject: string, queue: string | undefined): boolean {
    const named = [...this.#all].filter(
      (one) => one.subject === subject && (queue === undefined || one.queue === queue),
    );
    for (const one of named) one.refuse();
    return named.length > 0;
  }

  close(): void {
    this.#retries.cancel();
  }

  async #retry(): Promise<void> {
    const refused = [...this.#all].filter(({ isRefused }) => isRefused);
    if (refused.length === 0) return;
    try {
      for (const one of refused) one.tryAgain();
      await this.#options.flush();
    } catch {
      return; // Disconnected or closed: the next try comes soon.
    }
    await nextTurn(); // A refusal that names no queue group arrives as an event of the client.
    for (const one of refused) one.confirm();
  }
}

type State = 'open' | 'refused' | 'trying' | 'ended';

class Retried implements BusSubscription {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly #open: Open;
  readonly #changed: (isRefused: boolean, hasEnded: boolean) => void;
  readonly #ended: () => void;
  #state: State = 'open';
  #current: ClientSubscription;

  constructor(
    subject: string,
    queue: string | undefined,
    open: Open,
    changed: (isRefused: boolean, hasEnded: boolean) => void,
    ended: () => void,
  ) {
    this.subject = subject;
    this.queue = queue;
    this.#open = open;
    this.#changed = changed;
    this.#ended = ended;
    this.#current = this.#subscribe();
  }

  get isRefused(): boolean {
    return this.#state === 'refused' || this.#state === 'trying';
  }

  refuse(): void {
    if (this.#state === 'ended' || this.#state === 'refused') return;
    const wasOpen = this.#state === 'open';
    this.#state = 'refused';
    this.#current.unsubscribe(); // After a reload the client does not know that the server has dropped it.
    if (wasOpen) this.#changed(true, false);
  }

  tryAgain(): void {
    if (this.#state !== 'refused') return;
    this.#state = 'trying';
    this.#current = this.#subscribe();
  }

  /** A round trip after `tryAgain` has brought no refusal. */
  confirm(): void {
    if (this.#state !== 'trying') return;
    this.#state = 'open';
    this.#changed(false, false);
  }

  unsubscribe(): void {
    this.#end();
    this.#current.unsubscribe();
  }

  async drain(): Promise<void> {
    const wasRefused = this.isRefused;
    this.#end();
    if (wasRefused) this.#current.unsubscribe();
    else await this.#current.drain();
  }

  #end(): void {
    const wasRefused = this.isRefused;
    this.#state = 'ended';
    this.#ended();
    if (wasRefused) this.#changed(false, true);
  }

  #subscribe(): ClientSubscription {
    const opened: ClientSubscription = this.#open(() => {
      if (opened === this.#current) this.refuse();
    });
    return opened;
  }
}
