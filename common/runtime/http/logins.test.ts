import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nkeys } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { startNats, type TestNats } from '../../testing/nats/server.ts';
import { startTestRedis, type TestRedis } from '../../testing/redis/server.ts';
import { packageRoot } from '../package-root.ts';

/** Real processes against servers that demand a login or TLS. Nothing that they log or show contains a secret. */
const SECRET = 'k3pt s3cr3t';
const ENCODED = encodeURIComponent(SECRET);
const CERTIFICATES = path.join(packageRoot, 'common', 'testing', 'certificates');
const [CA, CERT, KEY] = ['ca.pem', 'server.pem', 'server.key'].map((name) =>
  path.join(CERTIFICATES, name),
) as [string, string, string];
let built: string;
let dir: string;
let openNats: TestNats;
let openRedis: TestRedis;
let stop: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  mkdirSync(path.join(packageRoot, 'dist'), { recursive: true });
  built = mkdtempSync(path.join(packageRoot, 'dist', '.logins-test-'));
  dir = mkdtempSync(path.join(tmpdir(), 'hm-logins-'));
  const tsc = path.join(packageRoot, 'node_modules', '.bin', 'tsc');
  execFileSync(tsc, ['-p', packageRoot, '--outDir', built, '--noCheck'], { stdio: 'ignore' });
  [openRedis, openNats] = await Promise.all([startTestRedis(), startNats()]);
}, 60_000);
afterAll(async () => {
  await Promise.all([openRedis?.stop(), openNats?.stop()]);
  rmSync(built, { recursive: true, force: true });
  rmSync(dir, { recursive: true, force: true });
});
afterEach(async () => {
  for (const end of stop.reverse()) await end();
  stop = [];
});

function file(name: string, content: string): string {
  const at = path.join(dir, name);
  writeFileSync(at, content);
  return at;
}

interface Started {
  /** The command line, as `ps` shows it. */
  command: string;
  output(): string;
}

/** Starts a process with this configuration. */
function start(yaml: string, env: Record<string, string> = {}): Started {
  const config = file('health_manager.yml', yaml);
  const fixture = path.join(built, 'common', 'testing', 'process-fixture.js');
  const child = spawn(process.execPath, [fixture, config, 'serves'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LOG_LEVEL: 'trace', ...env },
    cwd: dir,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data));
  const ended = new Promise((resolve) => child.once('close', resolve));
  stop.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { command: readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'), output: () => output };
}

/** Waits for the text. Neither the output so far nor the command line may contain a secret. */
async function logs({ command, output }: Started, text: RegExp): Promise<void> {
  await vi.waitFor(() => expect(output()).toMatch(text), { timeout: 15_000, interval: 20 });
  const shown = `${output()} ${command}`;
  for (const secret of [SECRET, ENCODED, JSON.stringify(SECRET)]) expect(shown).not.toContain(secret);
  // Seeds of NKeys of every kind.
  expect(shown).not.toMatch(/\bS[UAOCNX][A-Z2-7]{56}/);
}

const SERVES = /"event":"ready"/;
const NATS_REFUSES = /"event":"nats_disconnected".*(authorization|permissions)/i;

async function nats(...args: string[]): Promise<string> {
  const server = await startNats({ args });
  stop.push(() => server.stop());
  return `127.0.0.1:${server.port}`;
}

const withNats = (mbus: string, more = '') => `mbus: "${mbus}"\nredis: {url: "${openRedis.url}"}\n${more}`;

describe('NATS that demands', () => {
  test('user and password', async () => {
    const at = await nats('--user', 'hm', '--pass', SECRET);
    await logs(start(withNats(`nats://hm:${ENCODED}@${at}`)), SERVES);
    await logs(start(withNats(`nats://hm:${ENCODED}x@${at}`)), NATS_REFUSES);
    await logs(start(withNats(`nats://${at}`)), NATS_REFUSES);
  });

  test('a token', async () => {
    const at = await nats('--auth', SECRET);
    await logs(start(withNats(`nats://${ENCODED}@${at}`)), SERVES);
    await logs(start(withNats(`nats://${ENCODED}x@${at}`)), NATS_REFUSES);
  });

  test('an NKey', async () => {
    const [user, other] = [nkeys.createUser(), nkeys.createUser()];
    const config = file('nkey.conf', `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`);
    const at = await nats('-c', config);
    const seed = (key: typeof user) => file(`${key.getPublicKey()}.nk`, `${Buffer.from(key.getSeed())}\n`);
    await logs(start(withNats(`nats://${at}`, `nats: {nkey_seed_file: "${seed(user)}"}`)), SERVES);
    await logs(start(withNats(`nats://${at}`, `nats: {nkey_seed_file: "${seed(other)}"}`)), NATS_REFUSES);
  });

  test('a JWT: a credentials file', async () => {
    const { config, creds } = accounts();
    const at = await nats('-c', file('jwt.conf', config));
    const inFile = file('hm.creds', creds);
    await logs(start(withNats(`nats://${at}`, `nats: {creds: "${inFile}"}`)), SERVES);
    await logs(start(withNats(`nats://${at}`)), NATS_REFUSES);
  });

  test('TLS with a certificate of a private CA', async () => {
    const at = await nats('--tls', '--tlscert', CERT, '--tlskey', KEY);
    await logs(start(withNats(`tls://${at}`), { NODE_EXTRA_CA_CERTS: CA }), SERVES);
    await logs(start(withNats(`tls://${at}`)), /"event":"nats_disconnected".*certificate/i);
  });

  test('no TLS, although the configuration demands it', async () => {
    await logs(start(withNats(`tls://127.0.0.1:${openNats.port}`)), /"event":"nats_disconnected"/);
  });
});

test('an error names a missing credentials file of NATS', async () => {
  const started = start(withNats(openNats.url, 'nats: {creds: /nowhere/hm.creds}'));
  await logs(
    started,
    /nats\.creds: expected the name of a readable NATS credentials file \(JWT and seed\), got "\/nowhere\/hm\.creds"/,
  );
});

describe('Redis that demands', () => {
  const withRedis = (url: string) => `mbus: "${openNats.url}"\nredis: {url: "${url}"}`;

  test('user and password', async () => {
    const { port } = await redis('--requirepass', SECRET);
    await logs(start(withRedis(`redis://default:${ENCODED}@127.0.0.1:${port}`)), SERVES);
    await logs(start(withRedis(`redis://default:${ENCODED}x@127.0.0.1:${port}`)), /WRONGPASS/);
    await logs(start(withRedis(`redis://127.0.0.1:${port}`)), /NOAUTH/);
  });

  test('TLS with a certificate of a private CA', async () => {
    const tls = ['--tls-cert-file', CERT, '--tls-key-file', KEY, '--tls-ca-cert-file', CA];
    const { port } = await redis('--requirepass', SECRET, '--tls-auth-clients', 'no', ...tls, '--tls');
    const url = `rediss://:${ENCODED}@127.0.0.1:${port}`;
    await logs(start(withRedis(url), { NODE_EXTRA_CA_CERTS: CA }), SERVES);
    await logs(start(withRedis(url)), /"event":"redis_disconnected".*certificate/i);
  });
});

async function redis(...args: string[]): Promise<TestRedis> {
  const server = await startTestRedis(undefined, args);
  stop.push(() => server.stop());
  return server;
}

/** A NATS operator with one account and one user, as `nsc` would make them. */
function accounts(): { config: string; creds: string } {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  const encode = (part: object | Uint8Array) =>
    Buffer.from(part instanceof Uint8Array ? part : JSON.stringify(part)).toString('base64url');
  const jwt = (by: typeof operator, of: typeof operator, type: string, more: object = {}) => {
    const claims = {
      jti: 'test',
      iat: 1_700_000_000,
      iss: by.getPublicKey(),
      name: type,
      sub: of.getPublicKey(),
      nats: { type, version: 2, ...more },
    };
    const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(claims)}`;
    return `${text}.${encode(by.sign(Buffer.from(text)))}`;
  };
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const limits = { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const accountJwt = jwt(operator, account, 'account', { limits });
  const userJwt = jwt(account, user, 'user', { ...unlimited, pub: {}, sub: {} });
  const seed = Buffer.from(user.getSeed());
  return {
    config: `operator: ${jwt(operator, operator, 'operator')}\nresolver: MEMORY\nresolver_preload: { ${account.getPublicKey()}: ${accountJwt} }\n`,
    creds: `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
  };
}
