/**
 * Keeps those who watch the dashboard told, by server-sent events. One reading of Redis serves all of them:
 *
 *     nobody watches --(the first comes)--> a turn a second --(the last goes)--> nobody watches
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Health } from '../../common/runtime/health.ts';
import type { Logger } from '../../common/runtime/log.ts';
import { UnavailableError, withTimeout } from '../http/in-time.ts';
import { type LiveEvent, LiveFeed, type LiveSources } from './live-feed.ts';

export interface BroadcasterOptions extends LiveSources {
  log: Logger;
  health: Health;
  dryRun: boolean;
}

/** One who watches. */
export interface Viewer {
  /** Takes frames of server-sent events. */
  send(frames: string): void;
}

/** From the first watcher to the last. */
interface Session {
  stop: AbortController;
  feed: LiveFeed;
  /** The latest turn could not read Redis. */
  unavailable: boolean;
}

/** A person sees no shorter delay in figures, and a turn costs a few milliseconds. */
const TURN_MS = 1_000;

export class LiveBroadcaster {
  readonly #options: BroadcasterOptions;
  readonly #watchers = new Set<Viewer>();
  /** Those that were told all that holds. */
  readonly #told = new Set<Viewer>();
  #running: Session | undefined;

  constructor(options: BroadcasterOptions) {
    this.#options = options;
  }

  /** How many watch. */
  get size(): number {
    return this.#watchers.size;
  }

  /** @returns to be called when it watches no more */
  add(watcher: Viewer): () => void {
    const { clock, policy, dryRun } = this.#options;
    this.#watchers.add(watcher);
    const { dropletLostMs } = policy;
    watcher.send(frame({ event: 'hello', data: { nowMs: clock.nowMs(), dropletLostMs, dryRun } }));
    if (this.#running === undefined) this.#start();
    else if (!this.#running.unavailable) this.#tellAll(this.#running.feed, [watcher]);
    return () => {
      this.#watchers.delete(watcher);
      this.#told.delete(watcher);
      if (this.#watchers.size === 0) this.stop();
    };
  }

  /** Nothing is read any more until the next one comes. */
  stop(): void {
    this.#running?.stop.abort();
    this.#running = undefined;
    this.#told.clear();
  }

  #start(): void {
    const running: Session = {
      stop: new AbortController(),
      feed: new LiveFeed(this.#options),
      unavailable: false,
    };
    this.#running = running;
    void this.#run(running);
  }

  /** Turns never overlap. */
  async #run(running: Session): Promise<void> {
    const { signal } = running.stop;
    while (!signal.aborted) {
      await this.#turn(running, signal);
      // Rejects when it is to end: that is no failure.
      await delay(TURN_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #turn(running: Session, signal: AbortSignal): Promise<void> {
    const { health, log, clock } = this.#options;
    try {
      const events = await withTimeout(health, () => running.feed.poll());
      if (signal.aborted) return;
      running.unavailable = false;
      const newcomers = [...this.#watchers].filter((watcher) => !this.#told.has(watcher));
      const news = [...events, { event: 'tick', data: { nowMs: clock.nowMs() } } as const]
        .map(frame)
        .join('');
      for (const watcher of this.#told) watcher.send(news);
      this.#tellAll(running.feed, newcomers);
    } catch (error) {
      if (signal.aborted) return;
      // What was missed meanwhile nobody knows: all begins anew.
      running.feed = new LiveFeed(this.#options);
      running.unavailable = true;
      this.#told.clear();
      const isKnown = error instanceof UnavailableError;
      if (!isKnown) log.error({ event: 'dashboard_not_read', err: error }, 'the dashboard could not be told');
      const problem = isKnown ? error.message : 'the reporter could not read its figures; its log says why';
      for (const watcher of this.#watchers) watcher.send(frame({ event: 'unavailable', data: { problem } }));
    }
  }

  #tellAll(news: LiveFeed, watchers: readonly Viewer[]): void {
    const events = news.all();
    if (watchers.length === 0 || events.length === 0) return;
    const tick = { event: 'tick', data: { nowMs: this.#options.clock.nowMs() } } as const;
    const frames = [...events, tick].map(frame).join('');
    for (const watcher of watchers) {
      this.#told.add(watcher);
      watcher.send(frames);
    }
  }
}

function frame({ event, data }: LiveEvent): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
