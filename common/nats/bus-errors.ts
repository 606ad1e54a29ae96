/** What can go wrong with NATS, in words and kinds. */
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ErrorCode, type NatsConnection, NatsError } from 'nats';

/** NATS could not do what was asked of it. */
export class BusError extends Error {
  /** `disconnected`: not connected now; `no_responders`: nobody is subscribed; `timeout`: no reply in time. */
  readonly kind: 'disconnected' | 'no_responders' | 'timeout' | 'other';

  constructor(kind: BusError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BusError';
    this.kind = kind;
  }
}

/** An error of the client in words, with what is behind it. */
export function errorText(error: unknown): string {
  if (error instanceof NatsError) {
    const cause = error.chainedError?.message;
    return cause === undefined ? error.message : `${error.message} (${cause})`;
  }
  return error instanceof Error ? error.message : String(error);
}

/**
 * What the server said last. The client's status has only a code for it, which is one and the same for a slow
 * consumer and for all else that it has no code for.
 */
export function lastServerError(connection: NatsConnection): string | undefined {
  const { protocol } = connection as { protocol?: { lastError?: unknown } };
  return protocol?.lastError instanceof Error ? protocol.lastError.message : undefined;
}

/** The metric label of what the server said. */
export function kindOf(problem: string): 'slow_consumer' | 'permission' | 'authentication' | 'other' {
  if (/slow consumer/i.test(problem)) return 'slow_consumer';
  if (/permissions?[ _]violation/i.test(problem)) return 'permission';
  return /auth/i.test(problem) ? 'authentication' : 'other';
}

export function busError(subject: string, cause: unknown): BusError {
  const code = cause instanceof NatsError ? cause.code : undefined;
  if (code === ErrorCode.NoResponders)
    return new BusError('no_responders', `${subject}: nobody is subscribed`, { cause });
  if (code === ErrorCode.Timeout) return new BusError('timeout', `${subject}: no reply in time`, { cause });
  const away =
    code === ErrorCode.Disconnect ||
    code === ErrorCode.ConnectionClosed ||
    code === ErrorCode.ConnectionDraining;
  return new BusError(away ? 'disconnected' : 'other', `${subject}: ${errorText(cause)}`, { cause });
}

/** What a connection goes by at the moment; the client does not give it. */
export function socketOf(connection: NatsConnection): Socket | undefined {
  const { protocol } = connection as { protocol?: { transport?: { socket?: unknown } } };
  const socket = protocol?.transport?.socket;
  return socket instanceof Socket ? socket : undefined;
}

/**
 * Ends a connection in such a way that the system does not go on trying to deliver what waits in it. The client has no
 * function for that: its own ones send what waits first.
 */
export function abandon(connection: NatsConnection): void {
  const socket = socketOf(connection);
  if (socket === undefined) return;
  // A socket with TLS cannot be reset; it is closed with what it has in hand.
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}
