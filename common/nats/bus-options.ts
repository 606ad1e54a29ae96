/** Options of a NATS connection: login, TLS, pings, reconnects. */
import { type ConnectionOptions, credsAuthenticator, nkeyAuthenticator } from 'nats';
import type { MbusSettings } from '../config/settings.ts';
import { HANDSHAKE_MS, type ReconnectOrder } from './reconnect-order.ts';

/**
 * A dead connection that was not closed is noticed after three of these. That is a third of HM 2.0's `droplet_lost`, so
 * its silence cannot count as the silence of DEAs.
 */
const PING_INTERVAL_MS = 3_000;
const MAX_PINGS_OUT = 2;

/** @param name client name; NATS shows it in its list of connections */
export function connectionOptions(
  mbus: MbusSettings,
  name: string,
  order: ReconnectOrder,
): ConnectionOptions {
  return {
    servers: mbus.servers,
    name,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => order.delayMs(),
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
