/** Parsers of settings that name a file. The value stays the name, because the file is read again at each connect. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Parser } from './parsers.ts';

/** @param isUsable may throw */
function fileParser(expected: string, isUsable: (content: string) => boolean): Parser<string> {
  return {
    expected,
    parse: ({ value }) => {
      if (typeof value !== 'string' || value === '') return undefined;
      try {
        return isUsable(readFileSync(value, 'utf8')) ? value : undefined;
      } catch {
        return undefined; // The error line has the file's name.
      }
    },
  };
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates in a file. @throws Error when it cannot be read, or one of them is damaged */
export function readCertificates(file: string): X509Certificate[] {
  return certificatesIn(readFileSync(file, 'utf8'));
}

function certificatesIn(content: string): X509Certificate[] {
  return (content.match(CERTIFICATES) ?? []).map((pem) => new X509Certificate(pem));
}

export const certificateFile = fileParser(
  'the name of a readable PEM file with certificates',
  (content) => certificatesIn(content).length > 0,
);

export const privateKeyFile = fileParser(
  'the name of a readable PEM file with an unencrypted private key',
  (content) => createPrivateKey(content).type === 'private',
);

const USER_SEED = /\bSU[A-Z2-7]{56}\b/;

export const natsCredentialsFile = fileParser(
  'the name of a readable NATS credentials file (JWT and seed)',
  (content) => /BEGIN NATS USER JWT/.test(content) && USER_SEED.test(content),
);

export const natsSeedFile = fileParser(
  'the name of a readable file with the NKey seed of a NATS user (SU...)',
  (content) => USER_SEED.test(content.trim()),
);
