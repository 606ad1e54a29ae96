/** Certificates for tests, issued when they are needed, with the openssl of this machine. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files in PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

export interface Authority {
  /** The certificate of the CA. */
  ca: string;
  /**
   * Issues a certificate for a server or a client.
   *
   * @param names as in `subjectAltName`, e.g. `DNS:localhost`
   */
  issue(name: string, options?: { names?: string; isExpired?: boolean }): Certificate;
}

/** Creates a CA with this name. All files are in `dir`. */
export function createAuthority(dir: string, name: string): Authority {
  const file = (suffix: string) => join(dir, `${name}${suffix}`);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const [ca, caKey] = [file('.pem'), file('.key')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', caKey, '-out', ca, '-days', '2', '-subj', `/CN=${name}`);
  return {
    ca,
    issue(subject, { names = 'DNS:localhost,IP:127.0.0.1', isExpired = false } = {}) {
      const issued = { cert: file(`-${subject}.pem`), key: file(`-${subject}.key`) };
      const [request, extensions] = [file(`-${subject}.csr`), file(`-${subject}.ext`)];
      writeFileSync(extensions, `subjectAltName=${names}\n`);
      openssl('req', '-new', ...key, '-keyout', issued.key, '-out', request, '-subj', `/CN=${subject}`);
      const signed = ['-in', request, '-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-out', issued.cert];
      openssl('x509', '-req', ...signed, '-extfile', extensions, '-days', isExpired ? '-1' : '2');
      return issued;
    },
  };
}
