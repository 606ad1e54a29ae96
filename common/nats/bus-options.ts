/** How a connection to NATS is made and kept: login, pings, and when to try again. */
import { type ConnectionOptions, credsAuthenticator, nkeyAuthenticator } from 'nats';
import type { MbusSettings } from '../config/settings.ts';

const RECONNECT_WAIT_MS = 250;
/** Spread, so that not all clients come at once when a server is back. */
const RECONNECT_JITTER_MS = 250;
/**
 * A connection that died without a word is noticed after three of these, so within a third of HM 2.0's
 * `droplet_lost`: before its silence could be taken for the hosts'.
 */
const PING_INTERVAL_MS = 3_000;
const MAX_PINGS_OUT = 2;
const HANDSHAKE_MS = 5_000;

/** How long to wait before the next try to connect (ms). */
export function retryWaitMs(): number {
  return RECONNECT_WAIT_MS + Math.random() * RECONNECT_JITTER_MS;
}

/**
 * How long the client has to wait before it tries to connect (ms), asked before each try.
 *
 * It compares the wait with the wall clock and the time of its last try: set back by an hour since, it would not try for an
 * hour. So the wait is measured here, by a clock that nobody sets, and over it takes a wait that any comparison passes.
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

/** @param name of this client, for who looks at the server's connections */
export function connectionOptions(mbus: MbusSettings, name: string): ConnectionOptions {
  return {
    servers: mbus.servers,
    name,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: reconnectDelay(),
    // A server whose users are being changed may refuse us for a while.
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
