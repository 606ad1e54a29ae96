/** TLS of the connections to NATS, Redis and the bulk API: private CA and client certificate. */
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { buildConnector } from 'undici';
import type { TlsSettings } from '../../config/tls.ts';
import { type OnSecretProblem, RotatingSecret } from './rotating-secret.ts';

/** Options for `tls.connect`. */
export interface TlsOptions {
  rejectUnauthorized: boolean;
  /** Read from its files whenever it is asked for, so clients must ask at each connect, and must not copy it. */
  readonly secureContext: SecureContext;
}

/**
 * @param tls undefined: the CAs that Node.js trusts, no client certificate
 * @throws Error when a file cannot be read or used
 */
export function tlsOptions(tls: TlsSettings | undefined, onProblem: OnSecretProblem): Partial<TlsOptions> {
  if (tls === undefined) return {};
  const context = new RotatingSecret(() => secureContextOf(tls), onProblem);
  return {
    rejectUnauthorized: !tls.skipVerify,
    get secureContext() {
      return context.current();
    },
  };
}

/** Connects an HTTP client of undici; the files are read at each connect. @throws Error as `tlsOptions` */
export function tlsConnector(tls: TlsSettings, onProblem: OnSecretProblem): buildConnector.connector {
  const options = tlsOptions(tls, onProblem);
  // A connector of its own each, because a connector keeps TLS sessions of the certificate that it had.
  return (target, callback) => buildConnector({ ...options })(target, callback);
}

function secureContextOf({ caFile, certFile, keyFile }: TlsSettings): SecureContext {
  const options: SecureContextOptions = {
    ...(caFile !== undefined && { ca: readFileSync(caFile) }),
    ...(certFile !== undefined && { cert: readFileSync(certFile) }),
    ...(keyFile !== undefined && { key: readFileSync(keyFile) }),
  };
  try {
    return createSecureContext(options);
  } catch (cause) {
    // While a certificate is replaced, its file and that of its key may not match for a moment.
    const files = [caFile, certFile, keyFile].filter((file) => file !== undefined).join(', ');
    throw new Error(`${files}: ${(cause as Error).message}`, { cause });
  }
}
