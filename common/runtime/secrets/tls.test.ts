import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TlsSettings } from '../../config/tls.ts';
import { type Authority, type Certificate, createAuthority } from '../../testing/certificates/issue.ts';
import { tlsConnector } from './tls.ts';

/** The bulk API connects with undici; the connections to NATS and Redis have tests of their own. */
let dir: string;
let right: Authority;
let other: Authority;
let servers: Server[] = [];
let pools: Pool[] = [];
let problems: string[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-https-'));
  [right, other] = [createAuthority(dir, 'right'), createAuthority(dir, 'other')];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
afterEach(async () => {
  for (const pool of pools) await pool.destroy();
  await Promise.all(servers.map(stop));
  [servers, pools, problems] = [[], [], []];
});

function stop(server: Server): Promise<unknown> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
}

/** A server that demands client certificates of this authority. */
async function serve({ ca }: Authority, { cert, key }: Certificate, port = 0): Promise<number> {
  const files = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
  const server = createServer({ ...files, requestCert: true }, (_, response) => response.end('page'));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function get(port: number, files: Partial<TlsSettings>, host = 'localhost'): () => Promise<string> {
  const connect = tlsConnector({ skipVerify: false, ...files }, (problem) => problems.push(problem));
  const pool = new Pool(`https://${host}:${port}`, { connect });
  pools.push(pool);
  return async () => (await pool.request({ method: 'GET', path: '/' })).body.text();
}

const own = ({ cert, key }: Certificate) => ({ certFile: cert, keyFile: key });

test('a server and a client of the right CA accept each other', async () => {
  const port = await serve(right, right.issue('server'));
  expect(await get(port, { caFile: right.ca, ...own(right.issue('client')) })()).toBe('page');
});

describe('the connection fails when', () => {
  test.each([
    [
      'the CA is not that of the server',
      () => ({ caFile: other.ca, ...own(right.issue('client')) }),
      /self-signed|verify/,
    ],
    [
      'there is no client certificate',
      () => ({ caFile: right.ca }),
      /certificate required|other side closed|ECONNRESET/i,
    ],
    [
      'the client certificate has expired',
      () => ({ caFile: right.ca, ...own(right.issue('old', { isExpired: true })) }),
      /expired|alert|other side closed|ECONNRESET/i,
    ],
  ])('%s', async (_, files, problem) => {
    const port = await serve(right, right.issue('server'));
    await expect(get(port, files())()).rejects.toThrow(problem);
  });

  test('the certificate of the server has expired, but not with skip_verify', async () => {
    const port = await serve(right, right.issue('old-server', { isExpired: true }));
    const files = { caFile: right.ca, ...own(right.issue('client')) };
    await expect(get(port, files)()).rejects.toThrow(/certificate has expired/);
    expect(await get(port, { ...files, skipVerify: true })()).toBe('page');
  });

  test('the certificate has another name', async () => {
    const port = await serve(right, right.issue('elsewhere', { names: 'DNS:elsewhere' }));
    await expect(get(port, { caFile: right.ca, ...own(right.issue('client')) })()).rejects.toThrow(
      /Host: localhost\. is not in the cert's altnames/,
    );
  });
});

test('files that are replaced are read at the next connect', async () => {
  const at = { ca: join(dir, 'at.pem'), cert: join(dir, 'at-client.pem'), key: join(dir, 'at-client.key') };
  const place = (authority: Authority, { cert, key }: Certificate) => {
    copyFileSync(authority.ca, at.ca);
    copyFileSync(cert, at.cert);
    copyFileSync(key, at.key);
  };
  place(right, right.issue('client'));
  const port = await serve(right, right.issue('server'));
  const request = get(port, { caFile: at.ca, ...own(at) });
  expect(await request()).toBe('page');
  await Promise.all(servers.splice(0).map(stop));
  place(other, other.issue('client'));
  await serve(other, other.issue('server'), port);
  expect(await request()).toBe('page');
  await Promise.all(servers.splice(0).map(stop));
  rmSync(at.cert);
  await serve(other, other.issue('server'), port);
  expect(await request()).toBe('page');
  expect(problems).toEqual([expect.stringContaining(at.cert)]);
});
