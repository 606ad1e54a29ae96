/** Settings of TLS: the keys of a section, and what does not fit together in it. */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readCertificates } from './parsers/file-parsers.ts';

/** TLS of the connections to one kind of server. */
export interface TlsSettings {
  /** PEM; replaces the CAs that Node.js trusts. */
  caFile?: string;
  /** PEM; the client certificate, with its chain. */
  certFile?: string;
  keyFile?: string;
  /** Accepts any certificate of the server. */
  skipVerify: boolean;
}

/** The sections of the configuration with `ca_file`, `cert_file`, `key_file` and `skip_verify`. */
export const TLS_SECTIONS = ['nats.tls', 'redis.tls', 'bulk_api.tls'] as const;
export type TlsSection = (typeof TLS_SECTIONS)[number];

/** Why a certificate and its key cannot be used together, by the key to change; undefined if it can, or none is configured. */
export function clientCertificateProblem({
  certFile,
  keyFile,
}: {
  certFile: string | undefined;
  keyFile: string | undefined;
}): ['cert_file' | 'key_file', string] | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (keyFile === undefined) return ['key_file', 'expected the key of cert_file, got none'];
  if (certFile === undefined) return ['cert_file', 'expected the certificate of key_file, got none'];
  const [own] = readCertificates(certFile);
  if (own?.checkPrivateKey(createPrivateKey(readFileSync(keyFile))) === true) return undefined;
  return ['key_file', `expected the key of the first certificate in ${certFile}, got another key`];
}

/** What is doubtful about a section, by the key to change. */
export function tlsWarnings(
  tls: Pick<TlsSettings, 'caFile' | 'certFile'> & Partial<TlsSettings>,
  nowMs: number,
): [string, string][] {
  const expired = (key: string, file: string | undefined): [string, string][] =>
    (file === undefined ? [] : readCertificates(file))
      .filter(({ validTo }) => Date.parse(validTo) < nowMs)
      .map(({ subject, validTo }) => [
        key,
        `${file}: the certificate ${subject.replaceAll('\n', ', ')} expired on ${validTo}`,
      ]);
  return [
    ...expired('ca_file', tls.caFile),
    ...expired('cert_file', tls.certFile),
    ...(tls.skipVerify
      ? ([['skip_verify', 'the certificate of the server is not verified']] as [string, string][])
      : []),
  ];
}
