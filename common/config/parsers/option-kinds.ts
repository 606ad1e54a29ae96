/** What a key of the configuration consists of, and the kinds of keys. */

import type { TlsSection } from '../tls.ts';
import { certificateFile, privateKeyFile } from './file-parsers.ts';
import { anything, type Parser, yesNo } from './parsers.ts';

export interface Option<T> {
  parser: Parser<T>;
  /** `undefined`: the key has no default. */
  default: T | undefined;
  /** The reason for the default. */
  why: string;
  meaning: string;
  /** The environment variable that overrides the file. */
  env?: string;
  /** Error lines show of a wrong value only what is certainly no secret. */
  secret?: true;
  /** The key only exists so that old files load. `warn`: with a warning. */
  unused?: 'silent' | 'warn';
}

/** The reason for a default. */
export const OLD = "HM 2.0's default, which existing files rely on";

/** A key with a default. */
export function key<T>(
  parser: Parser<T>,
  value: T,
  meaning: string,
  why = OLD,
  more: Partial<Option<T>> = {},
): Option<T> & { default: T } {
  return { parser, meaning, why, ...more, default: value };
}

/** A key without a default. */
export function optional<T>(
  parser: Parser<T>,
  meaning: string,
  why: string,
  more: Partial<Option<T>> = {},
): Option<T> {
  return { parser, meaning, why, ...more, default: undefined };
}

/** A key that has no effect any more. */
export function unused(meaning: string, how: 'silent' | 'warn'): Option<undefined> {
  return { parser: anything, default: undefined, meaning, why: 'not used', unused: how };
}

const PUBLIC_CA = 'the CAs that Node.js trusts';
const NO_CERTIFICATE = 'most servers demand no client certificate';

/** The keys of a section of TLS settings. Its files are read again at each connect. */
export function tlsKeys<S extends TlsSection>(section: S, server: string) {
  const keys = {
    ca_file: optional(
      certificateFile,
      `PEM file with the CAs of ${server}; any key of ${section} demands TLS`,
      PUBLIC_CA,
    ),
    cert_file: optional(
      certificateFile,
      `PEM file with the client certificate for ${server}`,
      NO_CERTIFICATE,
    ),
    key_file: optional(privateKeyFile, 'PEM file with the key of cert_file', NO_CERTIFICATE),
    skip_verify: key(
      yesNo,
      false,
      `whether any certificate of ${server} is accepted`,
      'a server that is not verified may be anybody',
    ),
  };
  return Object.fromEntries(Object.entries(keys).map(([name, option]) => [`${section}.${name}`, option])) as {
    [N in keyof typeof keys as `${S}.${N}`]: (typeof keys)[N];
  };
}
