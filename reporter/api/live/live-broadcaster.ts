/**
 * Sends the data of the dashboard to all viewers, as server-sent events. They share one read of Redis per second, and
 * without viewers nothing is read:
 *
 *     idle --(first viewer)--> one poll a second --(last viewer leaves)--> idle
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { DashboardLinks } from '../../../common/config/settings.ts';
import type { Health } from '../../../common/runtime/health.ts';
import type { Logger } from '../../../common/runtime/log/log.ts';
import { readRedis, UnavailableError } from '../../http/read-redis.ts';
import { type LiveEvent, LiveFeed, type LiveSources } from './live-feed.ts';

export interface BroadcasterOptions extends LiveSources {
  log: Logger;
  health: Health;
  dryRun: boolean;
  links?: DashboardLinks | undefined;
}

/** A browser that has the dashboard open. */
export interface Viewer {
  /** Its login may change something. */
  mayAct: boolean;
  /** Sends frames of server-sent events. */
  send(frames: string): void;
}

/** From the first viewer until the last one leaves. */
interface Session {
  stop: AbortController;
  feed: LiveFeed;
  /** The latest poll could not read Redis. */
  unavailable: boolean;
}

/** People notice no shorter delay in figures, and a poll costs a few milliseconds. */
const POLL_MS = 1_000;

export class LiveBroadcaster {
  readonly #options: BroadcasterOptions;
  readonly #viewers = new Set<Viewer>();
  /** Viewers that have the full state, and now get only changes. */
  readonly #upToDate = new Set<Viewer>();
  #session: Session | undefined;

  constructor(options: BroadcasterOptions) {
    this.#options = options;
  }

  /** Number of viewers. */
  get size(): number {
    return this.#viewers.size;
  }

  /** @returns removes the viewer */
  add(viewer: Viewer): () => void {
    const { clock, policy, dryRun, links } = this.#options;
    this.#viewers.add(viewer);
    const { dropletLostMs } = policy;
    const { mayAct } = viewer;
    const settings = { dropletLostMs, dryRun, mayAct, ...(links && { links }) };
    viewer.send(frame({ event: 'hello', data: { nowMs: clock.nowMs(), ...settings } }));
    if (this.#session === undefined) this.#start();
    else if (!this.#session.unavailable) this.#sendAll(this.#session.feed, [viewer]);
    return () => {
      this.#viewers.delete(viewer);
      this.#upToDate.delete(viewer);
      if (this.#viewers.size === 0) this.stop();
    };
  }

  /** Stops polling until the next viewer is added. */
  stop(): void {
    this.#session?.stop.abort();
    this.#session = undefined;
    this.#upToDate.clear();
  }

  #start(): void {
    const session: Session = {
      stop: new AbortController(),
      feed: new LiveFeed(this.#options),
      unavailable: false,
    };
    this.#session = session;
    void this.#run(session);
  }

  /** Polls one after the other, so that polls never overlap. */
  async #run(session: Session): Promise<void> {
    const { signal } = session.stop;
    while (!signal.aborted) {
      await this.#poll(session, signal);
      await delay(POLL_MS, undefined, { signal, ref: false }).catch(() => undefined); // rejects at the end
    }
  }

  async #poll(session: Session, signal: AbortSignal): Promise<void> {
    const { health, clock } = this.#options;
    try {
      const events = await readRedis(health, () => session.feed.poll());
      if (signal.aborted) return;
      session.unavailable = false;
      const newViewers = [...this.#viewers].filter((viewer) => !this.#upToDate.has(viewer));
      const frames = [...events, tick(clock.nowMs())].map(frame).join('');
      for (const viewer of this.#upToDate) viewer.send(frames);
      this.#sendAll(session.feed, newViewers);
    } catch (error) {
      if (!signal.aborted) this.#fail(session, error);
    }
  }

  /** The changes during the failure are not known, so every viewer gets the full state after it. */
  #fail(session: Session, error: unknown): void {
    session.feed = new LiveFeed(this.#options);
    session.unavailable = true;
    this.#upToDate.clear();
    let problem = 'Redis does not answer';
    if (!(error instanceof UnavailableError)) {
      this.#options.log.error({ event: 'dashboard_not_read', err: error }, 'dashboard data not read');
      problem = 'The reporter cannot read the figures (see its log)';
    }
    for (const viewer of this.#viewers) viewer.send(frame({ event: 'unavailable', data: { problem } }));
  }

  #sendAll(feed: LiveFeed, viewers: readonly Viewer[]): void {
    const events = feed.all();
    if (viewers.length === 0 || events.length === 0) return;
    const frames = [...events, tick(this.#options.clock.nowMs())].map(frame).join('');
    for (const viewer of viewers) {
      this.#upToDate.add(viewer);
      viewer.send(frames);
    }
  }
}

function tick(nowMs: number): LiveEvent {
  return { event: 'tick', data: { nowMs } };
}

function frame({ event, data }: LiveEvent): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
