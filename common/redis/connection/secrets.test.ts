import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RedisSettings } from '../../config/settings.ts';
import type { TlsSettings } from '../../config/tls.ts';
import { type Authority, type Certificate, createAuthority } from '../../testing/certificates/issue.ts';
import { freePort, startTestRedis, type TestRedis } from '../../testing/redis/server.ts';
import type { RedisClient } from '../scripts/scripts.ts';
import { openClient } from './client.ts';

let dir: string;
let right: Authority;
let other: Authority;
let server: Certificate;
let client: Certificate;
let ends: (() => Promise<unknown> | undefined)[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-redis-tls-'));
  [right, other] = [createAuthority(dir, 'right'), createAuthority(dir, 'other')];
  [server, client] = [right.issue('server'), right.issue('client')];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});

/** A server that demands client certificates of this authority. */
async function demanding(
  authority: Authority,
  { cert, key }: Certificate,
  port?: number,
  more: readonly string[] = [],
): Promise<TestRedis> {
  const files = ['--tls-ca-cert-file', authority.ca, '--tls-cert-file', cert, '--tls-key-file', key];
  const redis = await startTestRedis(port, ['--tls', ...files, ...more]);
  ends.push(() => redis.stop());
  return redis;
}

const tls = (ca: string, own?: Certificate, more: Partial<TlsSettings> = {}): TlsSettings => ({
  caFile: ca,
  ...(own !== undefined && { certFile: own.cert, keyFile: own.key }),
  skipVerify: false,
  ...more,
});

interface Opened {
  client: RedisClient;
  /** Why the latest try to connect failed. */
  problem(): string;
  secretProblems: string[];
}

function open(settings: RedisSettings): Opened {
  let problem = '';
  const secretProblems: string[] = [];
  const retry = () => 50;
  const opened = openClient(settings, {
    retry,
    connection: { maxRetriesPerRequest: null, retryStrategy: retry },
    onSecretProblem: (text) => secretProblems.push(text),
  });
  opened.on('error', (error: Error & { lastNodeError?: Error }) => {
    problem = error.lastNodeError?.message ?? error.message;
  });
  ends.push(async () => opened.disconnect());
  return { client: opened, problem: () => problem, secretProblems };
}

const single = (port: number, files: TlsSettings, host = '127.0.0.1'): RedisSettings => ({
  kind: 'single',
  url: `rediss://${host}:${port}`,
  tls: files,
});

describe('a Redis that demands client certificates', () => {
  test('accepts one of its CA, also where the URL does not name TLS', async () => {
    const { port } = await demanding(right, server);
    expect(await open(single(port, tls(right.ca, client))).client.ping()).toBe('PONG');
    const plain: RedisSettings = {
      kind: 'single',
      url: `redis://127.0.0.1:${port}`,
      tls: tls(right.ca, client),
    };
    expect(await open(plain).client.ping()).toBe('PONG');
  });

  test.each([
    ['the CA is not that of the server', () => tls(other.ca, client), /self-signed|unable to verify/],
    ['there is no client certificate', () => tls(right.ca), /certificate required/],
    [
      'the client certificate is of another CA',
      () => tls(right.ca, other.issue('foreign')),
      /unknown ca|alert/,
    ],
    [
      'the client certificate has expired',
      () => tls(right.ca, right.issue('old-client', { isExpired: true })),
      /expired|alert/,
    ],
  ])('is not reached when %s', async (_, files, problem) => {
    const { port } = await demanding(right, server);
    const opened = open(single(port, files()));
    await vi.waitFor(() => expect(opened.problem()).toMatch(problem), { timeout: 5_000 });
    expect(opened.client.status).not.toBe('ready');
  });

  test('is refused when its certificate has expired, and accepted then with skip_verify', async () => {
    const { port } = await demanding(right, right.issue('old-server', { isExpired: true }));
    const opened = open(single(port, tls(right.ca, client)));
    await vi.waitFor(() => expect(opened.problem()).toMatch(/certificate has expired/), { timeout: 5_000 });
    expect(await open(single(port, tls(right.ca, client, { skipVerify: true }))).client.ping()).toBe('PONG');
  });

  test('is verified by its host name', async () => {
    const { port } = await demanding(right, right.issue('named', { names: 'DNS:localhost' }));
    expect(await open(single(port, tls(right.ca, client), 'localhost')).client.ping()).toBe('PONG');
    const opened = open(single(port, tls(right.ca, client)));
    await vi.waitFor(() => expect(opened.problem()).toMatch(/127\.0\.0\.1 is not in the cert's list/), {
      timeout: 5_000,
    });
  });

  test('is reached again after CA and certificates were replaced while it was away', async () => {
    const at = { ca: join(dir, 'at.pem'), cert: join(dir, 'at-client.pem'), key: join(dir, 'at-client.key') };
    const place = (authority: Authority, own: Certificate) => {
      copyFileSync(authority.ca, at.ca);
      copyFileSync(own.cert, at.cert);
      copyFileSync(own.key, at.key);
    };
    place(right, client);
    const first = await demanding(right, server);
    const opened = open(single(first.port, tls(at.ca, at)));
    expect(await opened.client.ping()).toBe('PONG');
    await first.stop();
    writeFileSync(at.key, ''); // replaced, but not written yet
    const second = await demanding(right, server, first.port);
    expect(await opened.client.ping()).toBe('PONG');
    expect(opened.secretProblems).toEqual([expect.stringContaining(at.key)]);
    await second.stop();
    place(other, other.issue('new-client'));
    await demanding(other, other.issue('new-server'), first.port);
    expect(await opened.client.ping()).toBe('PONG');
  });
});

test('a cluster whose certificates have only host names', async () => {
  const bus = await freePort();
  const named = right.issue('cluster', { names: 'DNS:localhost' });
  const { port } = await demanding(right, named, undefined, [
    ...['--cluster-enabled', 'yes', '--cluster-port', `${bus}`, '--tls-cluster', 'yes'],
    ...['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname'],
  ]);
  const files = tls(right.ca, client);
  const node = open(single(port, files, 'localhost')).client;
  await node.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  await vi.waitFor(async () => expect(await node.cluster('INFO')).toContain('cluster_state:ok'), {
    timeout: 10_000,
  });
  const settings: RedisSettings = { kind: 'cluster', nodes: [`rediss://localhost:${port}`], tls: files };
  const cluster = open(settings).client;
  await cluster.set('key', 'value');
  expect(await cluster.get('key')).toBe('value');
}, 30_000);

describe('sentinels', () => {
  const LOGIN = { username: 'watcher', password: 's3ntinel' };

  /** A sentinel with TLS and a login of its own. @returns its port */
  async function startSentinel(master: number): Promise<number> {
    const port = await freePort();
    const file = join(dir, 'sentinel.conf');
    const { cert, key } = right.issue('sentinel');
    writeFileSync(
      file,
      [
        ...['port 0', `tls-port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, 'tls-replication yes'],
        ...[`tls-ca-cert-file ${right.ca}`, `tls-cert-file ${cert}`, `tls-key-file ${key}`],
        `user default off`,
        `user ${LOGIN.username} on >${LOGIN.password} allchannels +@all`,
        `sentinel monitor hm 127.0.0.1 ${master} 1`,
        'sentinel auth-user hm default',
        'sentinel auth-pass hm d4ta',
        '',
      ].join('\n'),
    );
    const child: ChildProcess = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('close', resolve));
    ends.push(() => {
      child.kill('SIGKILL');
      return ended;
    });
    return port;
  }

  test('may have another login than the Redis servers, and certificates', async () => {
    const master = await demanding(right, server, undefined, ['--requirepass', 'd4ta']);
    const port = await startSentinel(master.port);
    const settings: RedisSettings = {
      kind: 'sentinel',
      name: 'hm',
      nodes: [`rediss://:d4ta@localhost:${port}`],
      login: LOGIN,
      tls: tls(right.ca, client),
    };
    const opened = open(settings);
    expect(await opened.client.ping()).toBe('PONG');
    const { login: _, ...without } = settings;
    const refused = open(without);
    await vi.waitFor(() => expect(refused.problem()).toMatch(/WRONGPASS|sentinel/i), { timeout: 5_000 });
    expect(refused.client.status).not.toBe('ready');
  });
});
