import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Certificate, createAuthority } from '../testing/certificates/issue.ts';
import { type ConfigError, parseConfig } from './load.ts';

let dir: string;
let ca: string;
let own: Certificate;
let other: Certificate;
let expired: Certificate;
const LOGIN = { STATUS_USER: 'u', STATUS_PASSWORD: 'p' };

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-tls-'));
  const authority = createAuthority(dir, 'ca');
  ca = authority.ca;
  own = authority.issue('own');
  other = authority.issue('other');
  expired = authority.issue('expired', { isExpired: true });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const load = (yaml: string) => parseConfig(yaml, 'hm.yml', LOGIN);
const problems = (yaml: string): readonly string[] => {
  try {
    load(yaml);
    return [];
  } catch (error) {
    return (error as ConfigError).lines;
  }
};
const section = (keys: Record<string, string | boolean>) => JSON.stringify(keys);

describe.each([
  ['nats', 'mbus: nats://h', (yaml: string) => load(yaml).settings.mbus.tlsFiles],
  ['redis', '', (yaml: string) => load(yaml).settings.redis?.tls],
  ['bulk_api', '', (yaml: string) => load(yaml).settings.bulkApi.tls],
])('%s.tls', (name, more, read) => {
  const server = { redis: ', url: "redis://h"', bulk_api: ', host: "https://h"', nats: '' }[name];
  const yaml = (keys: Record<string, string | boolean>) =>
    `${more}\n${name}: {tls: ${section(keys)}${server}}`;

  test('keeps the names of the files, which are read at each connect', () => {
    const keys = { ca_file: ca, cert_file: own.cert, key_file: own.key, skip_verify: true };
    expect(read(yaml(keys))).toEqual({ caFile: ca, certFile: own.cert, keyFile: own.key, skipVerify: true });
    expect(read(yaml({ ca_file: ca }))).toEqual({ caFile: ca, skipVerify: false });
    expect(read(`${more}\n${name}: {tls: {}${server}}`)).toBeUndefined();
  });

  test('refuses files that cannot be read or are no PEM', () => {
    const garbage = join(dir, 'garbage.pem');
    writeFileSync(garbage, 'garbage');
    expect(problems(yaml({ ca_file: '/nowhere.pem', cert_file: garbage, key_file: own.cert }))).toEqual([
      `hm.yml: ${name}.tls.ca_file: expected the name of a readable PEM file with certificates, got "/nowhere.pem"`,
      `hm.yml: ${name}.tls.cert_file: expected the name of a readable PEM file with certificates, got "${garbage}"`,
      `hm.yml: ${name}.tls.key_file: expected the name of a readable PEM file with an unencrypted private key, got "${own.cert}"`,
    ]);
  });

  test('refuses a certificate without its key, a key without its certificate, and the key of another one', () => {
    expect(problems(yaml({ cert_file: own.cert }))).toEqual([
      `hm.yml: ${name}.tls.key_file: expected the key of cert_file, got none`,
    ]);
    expect(problems(yaml({ key_file: own.key }))).toEqual([
      `hm.yml: ${name}.tls.cert_file: expected the certificate of key_file, got none`,
    ]);
    expect(problems(yaml({ cert_file: own.cert, key_file: other.key }))).toEqual([
      `hm.yml: ${name}.tls.key_file: expected the key of the first certificate in ${own.cert}, got another key`,
    ]);
  });

  test('warns of a certificate that has expired, and of servers that are not verified', () => {
    expect(load(yaml({ ca_file: ca })).warnings).toEqual([]);
    expect(
      load(yaml({ cert_file: expired.cert, key_file: expired.key, skip_verify: true })).warnings,
    ).toEqual([
      expect.stringMatching(
        new RegExp(`^hm.yml: ${name}.tls.cert_file: ${expired.cert}: the certificate CN=expired expired on `),
      ),
      `hm.yml: ${name}.tls.skip_verify: the certificate of the server is not verified`,
    ]);
  });
});

test('TLS demands a server that is configured, because the private ones of hm start have none', () => {
  const tls = `{tls: ${section({ ca_file: ca })}}`;
  expect(problems(`nats: ${tls}`)).toEqual(['hm.yml: nats.tls: expected mbus with it, got none']);
  expect(problems(`redis: ${tls}`)).toEqual([
    'hm.yml: redis.tls: expected redis.url or redis.cluster or redis.sentinel.nodes with it, got none',
  ]);
});

test('TLS for a controller at an http:// URL is warned of', () => {
  expect(load(`bulk_api: {host: cc.example, tls: ${section({ ca_file: ca })}}`).warnings).toEqual([
    'hm.yml: bulk_api.tls: expected an https:// URL in bulk_api.host, got http://: there is no TLS',
  ]);
});

test('the sentinels may have a login of their own', () => {
  const yaml = (more: string) => `redis: {sentinel: {name: m, nodes: ["redis://u:p@h"]${more}}}`;
  expect(load(yaml('')).settings.redis).toEqual({ kind: 'sentinel', name: 'm', nodes: ['redis://u:p@h'] });
  expect(load(yaml(', username: s, password: 0123')).settings.redis).toMatchObject({
    login: { username: 's', password: '0123' },
  });
  expect(problems('redis: {sentinel: {password: s3cret}}')).toEqual([
    'hm.yml: redis.sentinel.name: expected a text, got none',
    'hm.yml: redis.sentinel.nodes: expected a list of host:port or redis:// URLs, got none',
  ]);
  expect(problems(yaml(', password: [s3cret]'))).toEqual([
    'hm.yml: redis.sentinel.password: expected a text, got ["***"]',
  ]);
});

test('REDIS_URL replaces sentinels with their login', () => {
  const yaml = 'redis: {sentinel: {name: m, nodes: [h], username: s, password: p}}';
  const { settings } = parseConfig(yaml, 'hm.yml', { REDIS_URL: 'redis://other' });
  expect(settings.redis).toEqual({ kind: 'single', url: 'redis://other' });
});
