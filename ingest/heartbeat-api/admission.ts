import { heartbeatPeriodMs } from '../../common/policy/thresholds.ts';
import type { Clock } from '../../common/redis/clock.ts';

interface Options {
  clock: Clock;
  dropletLostMs: number;
  /** Memory for requests in hand; for tests. */
  maxBytes?: number;
}

/** What is known of a request before its body is read. */
interface Request {
  headers: { 'content-length'?: string | undefined };
}

/** Memory for requests in hand: a thousand heartbeats of a hundred instances. */
const MAX_BYTES = 64 * 1024 * 1024;
/** What a request needs besides its body: its connection with TLS. */
const OVERHEAD_BYTES = 32 * 1024;
/** Of a body whose length is not given. */
const UNKNOWN_BYTES = 1024 * 1024;

/**
 * Bounds the memory of requests in hand.
 *
 * A refused heartbeat was delivered and is not stored, so it holds back the watermark like one that waits: no DEA counts as silent because
 * this process was too busy to read its heartbeats. After a heartbeat period without a refusal every DEA has sent another one.
 */
export class Admission {
  readonly #options: Options;
  readonly #inHand = new Map<Request, number>();
  #bytes = 0;
  #hasEnded = false;
  /** When the first and the latest of the refusals were that may still be missed (ms). */
  #refused: { firstMs: number; latestMs: number } | undefined;
  #whenIdle: (() => void)[] = [];

  constructor(options: Options) {
    this.#options = options;
  }

  /** @returns whether the request may be read */
  enter(request: Request): boolean {
    const length = Number(request.headers['content-length'] ?? UNKNOWN_BYTES);
    const bytes = OVERHEAD_BYTES + length;
    if (this.#hasEnded || this.#bytes + bytes > (this.#options.maxBytes ?? MAX_BYTES)) {
      const nowMs = this.#options.clock.nowMs();
      this.#refused = { firstMs: this.#refusedSinceMs() ?? nowMs, latestMs: nowMs };
      return false;
    }
    this.#inHand.set(request, bytes);
    this.#bytes += bytes;
    return true;
  }

  /** The request is answered, or its connection is lost. Has no effect the second time. */
  leave(request: Request): void {
    this.#bytes -= this.#inHand.get(request) ?? 0;
    this.#inHand.delete(request);
    if (this.#inHand.size > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Every request from now on is refused. */
  end(): void {
    this.#hasEnded = true;
  }

  /** Resolves when no request is in hand. */
  async idle(): Promise<void> {
    if (this.#inHand.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Age of the first refusal, until none was for a heartbeat period (ms); 0 if there is none. */
  backlogAgeMs(): number {
    const sinceMs = this.#refusedSinceMs();
    return sinceMs === undefined ? 0 : this.#options.clock.nowMs() - sinceMs;
  }

  #refusedSinceMs(): number | undefined {
    if (this.#refused === undefined) return undefined;
    const { firstMs, latestMs } = this.#refused;
    const isOver = this.#options.clock.nowMs() - latestMs > heartbeatPeriodMs(this.#options);
    if (isOver) this.#refused = undefined;
    return isOver ? undefined : firstMs;
  }
}
