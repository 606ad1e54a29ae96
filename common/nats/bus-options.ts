/** Options of a NATS connection: login, pings, reconnects. */
import { type ConnectionOptions, credsAuthenticator, nkeyAuthenticator } from 'nats';
import type { MbusSettings } from '../config/settings.ts';

const RECONNECT_WAIT_MS = 250;
/** Spreads the reconnects of all clients after a server restart. */
const RECONNECT_JITTER_MS = 250;
/**
 * A dead connection that was not closed is noticed after three of these. That is a third of HM 2.0's `droplet_lost`, so
 * its silence cannot count as the silence of DEAs.
 */
const PING_INTERVAL_MS = 3_000;
const MAX_PINGS_OUT = 2;
const HANDSHAKE_MS = 5_000;

/** Wait before the next attempt to connect (ms). */
export function retryWaitMs(): number {
  return RECONNECT_WAIT_MS + Math.random() * RECONNECT_JITTER_MS;
}

/**
 * The client calls the result before each attempt to connect, for the wait in ms.
 *
 * It compares that wait with the wall clock time since its last attempt: after the clock was set back by an hour, it would
 * not connect for an hour. So the wait is measured here, by a monotonic clock; when it is over, the result is a wait that
 * passes every comparison.
 */
function reconnectDelay(): () => number {
  let nextMs = Number.NEGATIVE_INFINITY;
  return () => {
    const leftMs = nextMs - performance.now();
    if (leftMs > 0) return leftMs;
    nextMs = performance.now() + retryWaitMs();
    return Number.NEGATIVE_INFINITY;
  };
}

/** @param name client name; NATS shows it in its list of connections */
export function connectionOptions(mbus: MbusSettings, name: string): ConnectionOptions {
  return {
    servers: mbus.servers,
    name,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: reconnectDelay(),
    // A server may refuse the login for a while when its users are changed.
    ignoreAuthErrorAbort: true,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: MAX_PINGS_OUT,
    timeout: HANDSHAKE_MS,
    noAsyncTraces: true,
    ...(mbus.tls ? { tls: {} } : {}),
    ...(mbus.user === undefined ? {} : { user: mbus.user }),
    ...(mbus.password === undefined ? {} : { pass: mbus.password }),
    ...(mbus.token === undefined ? {} : { token: mbus.token }),
    ...(mbus.creds === undefined ? {} : { authenticator: credsAuthenticator(Buffer.from(mbus.creds)) }),
    ...(mbus.nkeySeed === undefined ? {} : { authenticator: nkeyAuthenticator(Buffer.from(mbus.nkeySeed)) }),
  };
}
