/** Why a request to the bulk API failed; few fixed words, so that they can be a metric's label. */
export type BulkApiFailure =
  | 'connection'
  | 'timeout'
  | 'status'
  | 'unauthorized'
  | 'credentials'
  | 'page'
  | 'too_large';

/** A request to the bulk API that failed. Its message names no credentials. */
export class BulkApiError extends Error {
  readonly reason: BulkApiFailure;

  constructor(reason: BulkApiFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BulkApiError';
    this.reason = reason;
  }

  /** A body beyond all bounds is not asked for ten times. */
  get retryable(): boolean {
    return this.reason !== 'too_large';
  }
}

/** The pass cannot be completed; the next one begins after `postpone_update`. */
export class PassFailedError extends Error {
  readonly reason: BulkApiFailure | 'token' | 'redis';

  constructor(reason: PassFailedError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PassFailedError';
    this.reason = reason;
  }
}

/** Another pass has begun since, or Redis has lost its data: this one must not write any more. */
export class SupersededError extends Error {
  constructor() {
    super('another pass has begun since');
    this.name = 'SupersededError';
  }
}
