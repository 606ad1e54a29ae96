/** Why a request to the bulk API failed. A fixed set, because it is a metric label. */
export const BULK_API_FAILURES = [
  'connection',
  'timeout',
  'status',
  'unauthorized',
  'credentials',
  'page',
  'too_large',
  'encoding',
] as const;
export type BulkApiFailure = (typeof BULK_API_FAILURES)[number];

/** A failed request to the bulk API. Its message contains no credentials. */
export class BulkApiError extends Error {
  readonly reason: BulkApiFailure;

  constructor(reason: BulkApiFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BulkApiError';
    this.reason = reason;
  }

  /** An oversized body would be as large at the next try, and an unknown encoding as unknown. */
  get retryable(): boolean {
    return this.reason !== 'too_large' && this.reason !== 'encoding';
  }
}

/** The pass cannot be completed; the next one begins after `postpone_update`. */
export class PassFailedError extends Error {
  readonly reason: BulkApiFailure | 'token' | 'bound';

  constructor(reason: PassFailedError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PassFailedError';
    this.reason = reason;
  }
}

/** Another pass has begun, or Redis has lost its data: this pass must not write any more. */
export class SupersededError extends Error {
  constructor() {
    super('another pass has begun');
    this.name = 'SupersededError';
  }
}
