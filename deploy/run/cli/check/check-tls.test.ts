import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'nats';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import {
  type Authority,
  type Certificate,
  createAuthority,
} from '../../../../common/testing/certificates/issue.ts';
import { startNats } from '../../../../common/testing/nats/server.ts';
import { startTestRedis } from '../../../../common/testing/redis/server.ts';
import { main } from '../program.ts';

/** NATS, Redis and a controller that all demand client certificates of one CA. */
let dir: string;
let authority: Authority;
let client: Certificate;
let ports: { nats: number; redis: number; api: number };
let lines: string[];
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hm-check-tls-'));
  authority = createAuthority(dir, 'ca');
  client = authority.issue('client');
  const { ca } = authority;
  const { cert, key } = authority.issue('server');
  const nats = await startNats({
    args: ['--tlsverify', '--tlscacert', ca, '--tlscert', cert, '--tlskey', key],
  });
  ends.push(() => nats.stop());
  const redis = await startTestRedis(undefined, [
    ...['--tls', '--tls-ca-cert-file', ca, '--tls-cert-file', cert, '--tls-key-file', key],
  ]);
  ends.push(() => redis.stop());
  const controller = await connect({
    servers: `localhost:${nats.port}`,
    tls: { caFile: ca, certFile: client.cert, keyFile: client.key },
  });
  ends.push(() => controller.close());
  controller.subscribe('cloudcontroller.bulk.credentials.default', {
    callback: (_error, message) => void message.respond('{"user":"bulk","password":"secret"}'),
  });
  await controller.flush();
  const api = createServer(
    {
      ...{ ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) },
      ...{ requestCert: true, rejectUnauthorized: true },
    },
    (_, response) => void response.end('{"results":{"a":{}},"bulk_token":{"id":1}}'),
  );
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    api.closeAllConnections();
    return new Promise((resolve) => api.close(resolve));
  });
  ports = { nats: nats.port, redis: redis.port, api: (api.address() as AddressInfo).port };
});
afterAll(async () => {
  for (const end of ends.reverse()) await end();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  lines = [];
  for (const name of ['REDIS_URL', 'MBUS_URI']) vi.stubEnv(name, '');
  vi.stubEnv('STATUS_USER', 'user');
  vi.stubEnv('STATUS_PASSWORD', 'password');
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    lines.push(String(text).trimEnd());
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

function check(own: Partial<Certificate>): Promise<number> {
  const file = join(dir, 'health_manager.yml');
  const tls = JSON.stringify({
    ca_file: authority.ca,
    ...(own.cert !== undefined && { cert_file: own.cert, key_file: own.key }),
  });
  const config = [
    `mbus: tls://localhost:${ports.nats}`,
    `nats: {tls: ${tls}}`,
    `redis: {url: "rediss://localhost:${ports.redis}", tls: ${tls}}`,
    `bulk_api: {host: "https://localhost:${ports.api}", tls: ${tls}}`,
  ];
  writeFileSync(file, config.join('\n'));
  return main(['check', '--config', file]);
}

test('all are checked with the client certificate', async () => {
  expect(await check(client)).toBe(0);
  expect(lines.slice(1)).toEqual([
    expect.stringMatching(/^ok {6}NATS: connected to/),
    expect.stringMatching(/^ok {6}Redis: version/),
    expect.stringMatching(/^ok {6}bulk API: https:\S+: a page of 1 droplets$/),
  ]);
});

test('without it the check fails', async () => {
  expect(await check({})).toBe(1);
  expect(lines[1]).toMatch(
    /^FAILED {2}NATS: localhost:\d+: .*does the server accept the client certificate \(nats\.tls\.cert_file\)\?$/,
  );
  expect(lines[2]).toMatch(/^FAILED {2}Redis: .*(certificate required|ECONNRESET)/);
}, 20_000);
