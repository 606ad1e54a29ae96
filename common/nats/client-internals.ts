/**
 * What this program uses of the NATS client beyond its interface. `checkClientInternals` proves at connect that this release
 * of the client still has it.
 */
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { NatsConnection } from 'nats';

/** The current socket of a connection. A reconnected one has another socket. */
export function socketOf(connection: NatsConnection): Socket | undefined {
  const { protocol } = connection as { protocol?: { transport?: { socket?: unknown } } };
  const socket = protocol?.transport?.socket;
  return socket instanceof Socket ? socket : undefined;
}

/**
 * The text of the server's latest error. The client's status event has only a code, and that code is the same for a slow
 * consumer and for every error that it does not know.
 */
export function lastServerError(connection: NatsConnection): string | undefined {
  const { protocol } = connection as { protocol?: { lastError?: unknown } };
  return protocol?.lastError instanceof Error ? protocol.lastError.message : undefined;
}

/**
 * Closes a connection without sending what waits in it, and without the system trying to deliver it. The client's own
 * functions send it first.
 */
export function abandon(connection: NatsConnection): void {
  const socket = socketOf(connection);
  if (socket === undefined) return;
  // A TLS socket cannot be reset: it is destroyed, and the system still sends what it has already been given.
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

/** @throws Error when the client has no socket where this program expects it */
export function checkClientInternals(connection: NatsConnection): void {
  if (socketOf(connection) !== undefined) return;
  throw new Error(
    `npm package nats ${clientVersion()}: expected a net.Socket at connection.protocol.transport.socket, ` +
      `found ${lastOfPath(connection, ['protocol', 'transport', 'socket'])}. ` +
      'Install the release of nats that package-lock.json names, or adapt common/nats/client-internals.ts to this one.',
  );
}

/** Describes the object at the end of a path of properties, or the last one before the path breaks. */
function lastOfPath(from: object, path: readonly string[]): string {
  const [name, ...rest] = path;
  if (name === undefined) return `a ${from.constructor.name} there`;
  const next = (from as Record<string, unknown>)[name];
  if (typeof next === 'object' && next !== null) return lastOfPath(next, rest);
  return `a ${from.constructor.name} without ${name} (it has: ${Object.keys(from).join(', ')})`;
}

function clientVersion(): string {
  const { version } = createRequire(import.meta.url)('nats/package.json') as { version: string };
  return version;
}
