/** Options of a NATS connection: login, TLS, pings, reconnects. */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  nkeyAuthenticator,
  type TlsOptions,
} from 'nats';
import type { MbusSettings } from '../../config/settings.ts';
import type { TlsSettings } from '../../config/tls.ts';
import { type OnSecretProblem, RotatingSecret } from '../../runtime/secrets/rotating-secret.ts';
import { tlsOptions } from '../../runtime/secrets/tls.ts';
import { errorText } from '../bus-errors.ts';
import { HANDSHAKE_MS, type ReconnectOrder } from './reconnect-order.ts';

/**
 * A dead connection that was not closed is noticed after three of these. That is a third of HM 2.0's `droplet_lost`, so
 * its silence cannot count as the silence of DEAs.
 */
const PING_INTERVAL_MS = 3_000;
const MAX_PINGS_OUT = 2;

/**
 * @param name client name; NATS shows it in its list of connections
 * @throws Error when a file with a secret cannot be read or used
 */
export function connectionOptions(
  mbus: MbusSettings,
  name: string,
  { order, onSecretProblem }: { order: ReconnectOrder; onSecretProblem: OnSecretProblem },
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
    ...(mbus.tls ? { tls: natsTls(mbus.tlsFiles, onSecretProblem) } : {}),
    ...(mbus.user === undefined ? {} : { user: mbus.user }),
    ...(mbus.password === undefined ? {} : { pass: mbus.password }),
    ...(mbus.token === undefined ? {} : { token: mbus.token }),
    ...(mbus.credsFile === undefined
      ? {}
      : { authenticator: fromFile(mbus.credsFile, credsAuthenticator, onSecretProblem) }),
    ...(mbus.nkeySeedFile === undefined
      ? {}
      : { authenticator: fromFile(mbus.nkeySeedFile, seedAuthenticator, onSecretProblem) }),
  };
}

/**
 * The client starts TLS on a socket that is connected already. For a server that is configured by address it names no host,
 * and Node.js would then expect a certificate for `localhost`.
 */
function natsTls(files: TlsSettings | undefined, onProblem: OnSecretProblem): TlsOptions {
  const options = Object.defineProperties(
    {
      checkServerIdentity(
        this: { servername?: string; socket?: Socket },
        host: string,
        certificate: PeerCertificate,
      ) {
        return checkServerIdentity(this.servername || this.socket?.remoteAddress || host, certificate);
      },
    },
    Object.getOwnPropertyDescriptors(tlsOptions(files, onProblem)),
  );
  return options as TlsOptions;
}

const seedAuthenticator = (content: Uint8Array) =>
  nkeyAuthenticator(Buffer.from(Buffer.from(content).toString().trim()));

/**
 * Logs in with the secret that the file has at that moment. An authenticator that throws would end the connection for ever, so
 * a file that cannot be used is replaced by the one before.
 */
function fromFile(
  file: string,
  create: (content: Uint8Array) => Authenticator,
  onProblem: OnSecretProblem,
): Authenticator {
  const read = () => {
    try {
      const authenticator = create(readFileSync(file));
      authenticator('any'); // throws when the content is damaged
      return authenticator;
    } catch (cause) {
      throw new Error(`${file}: ${errorText(cause)}`, { cause });
    }
  };
  const secret = new RotatingSecret(read, onProblem);
  return (nonce) => secret.current()(nonce);
}
