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

/** A server as the client keeps it. */
export interface KnownServer {
  /** The address as it was given. */
  readonly src: string;
  /** `host:port` */
  readonly listen: string;
  /** Learned from another server, not configured. */
  gossiped: boolean;
  /** When it was dialed last; the client never dials a server that was dialed within the current wait (epoch ms). */
  lastConnect: number;
}

interface ServerList {
  servers: KnownServer[];
  addServer(address: string, gossiped: boolean): void;
}

function serverList(connection: NatsConnection): ServerList {
  return (connection as unknown as { protocol: { servers: ServerList } }).protocol.servers;
}

/** The servers that the client knows. It dials the first one next. Empty when the connection is closed. */
export function knownServers(connection: NatsConnection): KnownServer[] {
  return serverList(connection).servers;
}

/** Adds the configured servers that the client does not know, because they were down at the first connect. */
export function addServers(connection: NatsConnection, addresses: readonly string[]): void {
  const list = serverList(connection);
  for (const address of addresses) {
    const known = list.servers.find((server) => server.src === address || server.listen === address);
    if (known === undefined) list.addServer(address, false);
    // Another server's gossip has named it first.
    else known.gossiped = false;
  }
}

interface Sender {
  sendCommand(commands: Uint8Array): void;
}

/** Sends commands of the protocol after all that was published before, with what is published in the same turn. */
export function sendCommands(connection: NatsConnection, commands: Uint8Array): void {
  (connection as unknown as { protocol: Sender }).protocol.sendCommand(commands);
}

/** Sets the time-out of the next dials, from the connect to the end of the handshake (ms). */
export function setDialTimeout(connection: NatsConnection, timeoutMs: number): void {
  const { protocol } = connection as unknown as { protocol: { options: { timeout?: number } } };
  protocol.options.timeout = timeoutMs;
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

/** @throws Error when the client has something of the above not where this program expects it */
export function checkClientInternals(connection: NatsConnection): void {
  const missing = (what: string, path: string[]) =>
    new Error(
      `npm package nats ${clientVersion()}: expected ${what} at connection.${path.join('.')}, ` +
        `found ${lastOfPath(connection, path)}. ` +
        'Install the release of nats that package-lock.json names, or adapt common/nats/connection/client-internals.ts to this one.',
    );
  if (socketOf(connection) === undefined) throw missing('a net.Socket', ['protocol', 'transport', 'socket']);
  const { protocol } = connection as {
    protocol?: Partial<Sender> & { servers?: Partial<ServerList>; options?: unknown };
  };
  if (!Array.isArray(protocol?.servers?.servers) || typeof protocol.servers.addServer !== 'function')
    throw missing('an Array', ['protocol', 'servers', 'servers']);
  if (typeof protocol.options !== 'object') throw missing('an Object', ['protocol', 'options']);
  if (typeof protocol.sendCommand !== 'function') throw missing('a Function', ['protocol', 'sendCommand']);
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
