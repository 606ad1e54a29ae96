import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nkeys } from 'nats';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { MbusSettings } from '../../config/settings.ts';
import type { TlsSettings } from '../../config/tls.ts';
import { Health } from '../../runtime/health.ts';
import { Lifecycle } from '../../runtime/lifecycle/lifecycle.ts';
import { type Authority, type Certificate, createAuthority } from '../../testing/certificates/issue.ts';
import { captureLog } from '../../testing/context.ts';
import { startNats, type TestNats } from '../../testing/nats/server.ts';
import type { Bus } from '../bus.ts';
import { connectBus } from './connect.ts';

/** Logins and certificates in files, also files that are replaced while the connection is up. */
let dir: string;
let right: Authority;
let other: Authority;
let server: Certificate;
let client: Certificate;
let lifecycle: Lifecycle;
let health: Health;
let nats: TestNats | undefined;
const { log, lines } = captureLog();

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-nats-tls-'));
  [right, other] = [createAuthority(dir, 'right'), createAuthority(dir, 'other')];
  [server, client] = [right.issue('server'), right.issue('client')];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
beforeEach(() => {
  lifecycle = new Lifecycle();
  health = new Health();
  lines.length = 0;
});
afterEach(async () => {
  await lifecycle.stop();
  await nats?.stop();
  nats = undefined;
});

const connect = (mbus: Partial<MbusSettings>, host = '127.0.0.1'): Promise<Bus> =>
  connectBus({
    mbus: { servers: [`${host}:${nats?.port}`], tls: false, ...mbus },
    name: 'test',
    log,
    health,
    lifecycle,
    metrics: new Registry(),
  });
const until = (condition: () => void) => vi.waitFor(condition, { timeout: 10_000, interval: 10 });

/** A server that demands client certificates of this authority. */
const demanding = (authority: Authority, { cert, key }: Certificate, port?: number) =>
  startNats({
    ...(port !== undefined && { port }),
    args: ['--tlsverify', '--tlscacert', authority.ca, '--tlscert', cert, '--tlskey', key],
  });
const tls = (
  { ca }: { ca: string },
  own?: Certificate,
  more: Partial<TlsSettings> = {},
): Partial<MbusSettings> => ({
  tls: true,
  tlsFiles: {
    caFile: ca,
    ...(own !== undefined && { certFile: own.cert, keyFile: own.key }),
    skipVerify: false,
    ...more,
  },
});

/** Tries to connect. @returns why it does not succeed, as `/readyz` shows it */
async function refusal(mbus: Partial<MbusSettings>, host?: string): Promise<string> {
  const connecting = connect(mbus, host);
  await until(() => expect(health.problems().get('nats')).toMatch(/^(127\.0\.0\.1|localhost):\d+: /));
  await lifecycle.stop();
  await expect(connecting).rejects.toThrow('stopped before a NATS server was reachable');
  return health.problems().get('nats') ?? '';
}

describe('a NATS server that demands client certificates', () => {
  test('accepts one of its CA', async () => {
    nats = await demanding(right, server);
    const bus = await connect(tls(right, client));
    await bus.flush();
  });

  test('is refused when its CA is not the configured one', async () => {
    nats = await demanding(right, server);
    expect(await refusal(tls(other, client))).toMatch(/self-signed certificate|unable to verify/);
  });

  test('is refused when its certificate has expired', async () => {
    nats = await demanding(right, right.issue('expired-server', { isExpired: true }));
    expect(await refusal(tls(right, client))).toMatch(/certificate has expired/);
  });

  test.each([
    ['without one', () => undefined],
    ['with one of another CA', () => other.issue('foreign')],
    ['with an expired one', () => right.issue('expired-client', { isExpired: true })],
  ])('refuses a client %s', async (_, own) => {
    nats = await demanding(right, server);
    expect(await refusal(tls(right, own()))).toMatch(
      /does the server accept the client certificate \(nats\.tls\.cert_file\)\?/,
    );
  });

  test('is verified by its host name', async () => {
    nats = await demanding(right, right.issue('named', { names: 'DNS:localhost' }));
    const bus = await connect(tls(right, client), 'localhost');
    await bus.flush();
    await lifecycle.stop();
    lifecycle = new Lifecycle();
    health = new Health();
    expect(await refusal(tls(right, client))).toMatch(/IP: 127\.0\.0\.1 is not in the cert's list/);
  });

  test('is not verified with skip_verify', async () => {
    nats = await demanding(right, right.issue('expired-again', { isExpired: true }));
    const bus = await connect(tls(other, client, { skipVerify: true }));
    await bus.flush();
  });
});

describe('files that are replaced while the connection is up', () => {
  test('CA and client certificate are read again at the reconnect', async () => {
    const at = { ca: join(dir, 'at.pem'), cert: join(dir, 'at-client.pem'), key: join(dir, 'at-client.key') };
    const place = (authority: Authority, { cert, key }: Certificate) => {
      copyFileSync(authority.ca, at.ca);
      copyFileSync(cert, at.cert);
      copyFileSync(key, at.key);
    };
    place(right, client);
    nats = await demanding(right, server);
    const bus = await connect(tls(at, at));
    await nats.stop();
    // First half of the change: the certificate does not match its key.
    copyFileSync(other.issue('new-client').cert, at.cert);
    const { port } = nats;
    nats = await demanding(right, server, port);
    await until(() => expect(bus.connected()).toBe(true));
    await nats.stop();
    place(other, other.issue('newer-client'));
    nats = await demanding(other, other.issue('new-server'), port);
    await until(() => expect(bus.connected()).toBe(true));
    await bus.flush();
    const problems = lines.filter(({ event }) => event === 'secret_not_readable');
    expect(problems).toMatchObject([{ problem: expect.stringContaining(at.cert) }]);
  });

  test('so is the seed of an NKey, and a damaged file does not end the connection', async () => {
    const users = [nkeys.createUser(), nkeys.createUser()] as const;
    const config = join(dir, 'nkeys.conf');
    const seedFile = join(dir, 'user.nk');
    const allow = (user: (typeof users)[0]) =>
      writeFileSync(config, `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }\n`);
    const place = (user: (typeof users)[0]) => writeFileSync(seedFile, `${Buffer.from(user.getSeed())}\n`);
    allow(users[0]);
    place(users[0]);
    nats = await startNats({ args: ['-c', config] });
    const bus = await connect({ nkeySeedFile: seedFile });
    writeFileSync(seedFile, 'SUDAMAGED');
    allow(users[1]);
    process.kill(nats.pid, 'SIGHUP'); // ends connections of users that are not allowed any more
    await until(() => expect(bus.connected()).toBe(false));
    await until(() => expect(health.problems().get('nats')).toMatch(/authorization violation/i));
    place(users[1]);
    await until(() => expect(bus.connected()).toBe(true));
    expect(lines.filter(({ event }) => event === 'secret_not_readable')).toHaveLength(1);
    expect(JSON.stringify(lines)).not.toMatch(/\bSU[A-Z2-7]{56}/);
  });

  test('a damaged file at the start is an error that names it', async () => {
    const seedFile = join(dir, 'damaged.nk');
    writeFileSync(seedFile, 'SUDAMAGED');
    nats = await startNats();
    await expect(connect({ nkeySeedFile: seedFile })).rejects.toThrow(`${seedFile}: `);
  });
});
