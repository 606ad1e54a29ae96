/** Errors of NATS: their kinds and their texts. */
import { ErrorCode, NatsError } from 'nats';

/** A NATS operation failed. */
export class BusError extends Error {
  /**
   * `disconnected`: not connected now; `no_responders`: nothing is subscribed to the subject; `timeout`: no reply in time;
   * `too_large`: the message exceeds the server's `max_payload`.
   */
  readonly kind: 'disconnected' | 'no_responders' | 'timeout' | 'too_large' | 'other';

  constructor(kind: BusError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BusError';
    this.kind = kind;
  }
}

/** The text of an error of the client, with that of its cause. */
export function errorText(error: unknown): string {
  if (error instanceof NatsError) {
    const cause = error.chainedError?.message;
    return cause === undefined ? error.message : `${error.message} (${cause})`;
  }
  return error instanceof Error ? error.message : String(error);
}

/** The metric label of a server's error. */
export function errorKind(problem: string): 'slow_consumer' | 'permission' | 'authentication' | 'other' {
  if (/slow consumer/i.test(problem)) return 'slow_consumer';
  if (/permissions?[ _]violation/i.test(problem)) return 'permission';
  return /auth/i.test(problem) ? 'authentication' : 'other';
}

export function busError(subject: string, cause: unknown): BusError {
  const code = cause instanceof NatsError ? cause.code : undefined;
  if (code === ErrorCode.NoResponders)
    return new BusError('no_responders', `${subject}: nobody is subscribed`, { cause });
  if (code === ErrorCode.Timeout) return new BusError('timeout', `${subject}: no reply in time`, { cause });
  if (code === ErrorCode.MaxPayloadExceeded)
    return new BusError('too_large', `${subject}: the message exceeds max_payload of NATS`, { cause });
  const disconnected =
    code === ErrorCode.Disconnect ||
    code === ErrorCode.ConnectionClosed ||
    code === ErrorCode.ConnectionDraining;
  return new BusError(disconnected ? 'disconnected' : 'other', `${subject}: ${errorText(cause)}`, { cause });
}
